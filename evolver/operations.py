"""The six operations of Evol-Instruct (WizardLM, arXiv 2304.12244, section 3.1) as six methods."""

from utils.prompts import template
from utils.schema import BREADTH, Method

IN_DEPTH = ("constraints", "deepen", "concretize", "reasoning", "complicate_input")


def operation(name: str) -> Method:
    """Return the operation whose prompt is `prompts/evol_instruct/NAME.txt`."""
    return Method(template(f"evol_instruct/{name}").template, origin="evol-instruct", name=name)


def six_operations() -> tuple[Method, ...]:
    """Return five operations in depth and one in breadth."""
    return tuple(map(operation, (*IN_DEPTH, BREADTH)))
