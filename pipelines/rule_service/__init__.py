"""The process behind the rule desk (``callbeam_io.rule_desk``): checks, counts and explains rules.

wire      questions and answers as JSON lines; each question on a thread, counts that can be cancelled
desk      which question is answered by what
words     what rules can say, whether one is right, recipes
world     the newest run's pane, gate and types; the rules that are on; consents
memory    the interactions that the newest run kept, by shard
counting  what a rule would have done
reasons   why a rule holds for one person, why a promotion was made, why there is none
"""
