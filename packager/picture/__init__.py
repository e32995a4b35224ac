"""Still pictures made of a clip: poster, preview, storyboard, placeholders and hashes."""
