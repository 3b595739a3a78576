"""The languages that the failure rules speak; a third one is added here."""

from validator.rules_en import ENGLISH
from validator.rules_ko import KOREAN

LANGUAGES = (ENGLISH, KOREAN)
