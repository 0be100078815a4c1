"""The matchers: by a learned model, by cosine alone; and the reasons that they give."""
