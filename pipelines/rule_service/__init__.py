"""The process behind the rule desk (``callbeam_io.rule_desk``): checks, counts and explains rules.

wire      questions and answers as JSON lines; each question on a thread, counts that can be cancelled
desk      which question is answered by what
words     what rules can say, whether one is right, recipes
world     the newest run's pane, gate and types; the rules that are on; consents
memory    the interactions that the newest run kept, by shard
past      the history with the firings of the rules that are on, renewed beside the work
firings   what rules would have done; counting, counted: of one rule all that a page shows
reasons   a rule's conditions for one person; steps: the gate; why: why there is a promotion, or none
effects   what a rule's promotions brought about
drill     the records behind a number, and those of one person
"""
