"""Every golden check: a fixture's name -> "module:function". A new one is a line here and its function.

A function takes a `Fixture` and returns its compared outputs; names are `Fixture.name`.
"""

CHECKS = {
    "arcface": "tests.parity.instruments:check_arcface",
    "bilayer": "tests.parity.bilayer:check",
    "deca": "tests.parity.regressors:check_deca",
    "deep3d": "tests.parity.regressors:check_deep3d",
    "fan": "tests.parity.instruments:check_fan",
    "fomm": "tests.parity.fomm:check",
    "fomm3d": "tests.parity.fomm3d:check",
    "headgan": "tests.parity.headgan:check",
    "lsr": "tests.parity.lsr:check",
    "pirender": "tests.parity.pirender:check",
    "x2face": "tests.parity.x2face:check",
    "geometry/deca_crop": "tests.parity.deca_crop:check",
    "geometry/deep3d": "tests.parity.deep3d:check",
    "geometry/flame_lbs": "tests.parity.flame_lbs:check",
    "geometry/metrics": "tests.parity.metrics:check",
    "geometry/video_preprocessing": "tests.parity.video_preprocessing:check",
}
