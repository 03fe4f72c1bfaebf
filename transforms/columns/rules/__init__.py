"""What rules do, columnar and without Beam: who fires when, with which values, and what becomes of it.

interactions, people, history, block    what is known of a shard's subscribers
plan, table, spans, sets, modes, tree   where conditions hold: sets of pane ends of all subscribers at once
turns, firing, memory, evaluate         when rules fire: one call over everything, or call by call
live                                    the same, only for those for whom something changes
values, explain                         the values behind a firing, and why there was none
outcomes, zones, moments, promotions, gate   consent, cap, control group, contact moments, rows
summary                                 what a rule would have done
"""
