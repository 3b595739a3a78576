"""Analyzer: trajectories become feedback on a method, and findings on single rewrites (paper, section 3.2)."""

from analyzer.analyze import analyze
from analyzer.compare import compare
from analyzer.equal import equal
from analyzer.judge import judge
from analyzer.tag import sample_ids, tag

__all__ = ["analyze", "compare", "equal", "judge", "sample_ids", "tag"]
