"""The pages of one payment and of one order, and the sentence that says why goods wait."""
