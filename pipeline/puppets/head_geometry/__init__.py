"""Procedural construction of the two puppet heads.

The skin is a loft (`sections`) with a relief (`relief`) laid on a grid that is cut open at eyes and mouth (`topology`,
`skin`); `organs` adds eyeballs, teeth, tongue and ears; `assembly` joins them. `shapes`, `expressions` and `rig` make
it a head model; `regions` says where lips, brows, iris, hair and so on are, in template coordinates.
"""
