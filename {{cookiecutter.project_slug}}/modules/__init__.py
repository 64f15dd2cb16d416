"""The student's own half: what is trained, on what, and how it is drawn. Begin with train.py."""
