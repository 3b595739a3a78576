"""Files as such, whatever is in them.

lines.py      lines of a bounded length
writing.py    JSON, JSON lines and Parquet, streamed, and whole or not at all
storage.py    folders of this machine and object stores, behind one protocol
row_store.py  JSON values by number on disk, so that memory stays flat
"""
