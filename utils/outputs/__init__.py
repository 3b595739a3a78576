"""What a run leaves behind.

result_files.py  methods, result, rejects, summary: written by every run
writing.py       what else the flags ask for, and what would be overwritten
export.py        the result in the shapes that trainers read
report/          report.html
card.py, hub.py  the data set's card, and the upload
comparison.py    the table of --compare
"""
