"""The whole engine under calls in any order: what must hold is looked at from outside after each of them."""
