"""Reports: what a day was like, told to people: totals, the week before, segments, products, funnel, what was odd.

Figures are read in one snapshot, kept as a row of the table `reports`, and told as text, HTML, JSON or e-mail.
"""
