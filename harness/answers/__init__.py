"""What a right answer is: how labels, JSON values and texts are compared."""
