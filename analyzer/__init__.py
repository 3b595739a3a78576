"""Analyzer: trajectories become feedback on a method, and findings on single rewrites (paper, section 3.2).

The tagger (`analyzer.tag`) is imported by those that need it.
"""

from analyzer.analyze import analyze
from analyzer.compare import compare
from analyzer.equal import equal
from analyzer.judge import judge

__all__ = ["analyze", "compare", "equal", "judge"]
