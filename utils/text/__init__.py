"""What can be computed of texts alone.

near_duplicates.py  ROUGE-L, and which instructions say the same as others, exactly
measures/           figures that describe a set of instructions
"""
