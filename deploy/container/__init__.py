"""The Bento, its image, and the proof of the image's steps where no container engine is."""
