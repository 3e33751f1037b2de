"""What is noticed of classes and functions besides the values they leave: guards, callers, loose ends."""
