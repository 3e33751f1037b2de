"""An init function for one model: chosen from its facts, written as source, and proven by probing again."""
