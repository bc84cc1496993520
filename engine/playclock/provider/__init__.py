"""What a partner implements who says by itself which addresses are its cafes', and whether they can pay."""
