"""Chat templates, the rendering of conversations to tokens and labels, and text generation."""
