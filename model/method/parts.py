"""What the pixels of a frame may show, where somebody says it: the labels of segmentations that lessons learn from."""

# By number. Who labels frames by other numbers says their names, and is brought into these (`pipeline.parts`).
PARTS = ("background", "skin", "ears", "neck", "brows", "eyes", "lips", "mouth", "hair", "beard", "glasses", "clothes")
BACKGROUND = PARTS.index("background")
