"""What is made of a commit to be published, and the checks of it. None of it is part of the product."""
