"""Weights and heads that this project may not ship: where each comes from, and where it is put.

Nothing is ever fetched. `pwm assets status` says what is there; `pwm assets import NAME FILE...` brings what the
user has into `data/assets` and records its hash (pipeline/tools/assets.py). Results are kept under that hash: no stage
depends on this table, and a new line needs `pwm assets record`, which gives it its place in assets.lock.json.
"""

from pipeline.store.assets import Asset

ASSETS = {
    "inception": Asset(
        "inception.pth",
        "weights-inception-2015-12-05-6726825d.pth",
        "torch-fidelity, release v0.2.0",
        "Apache-2.0 (TensorFlow)",
    ),
    "lpips_alex": Asset("alexnet.pth", "alexnet-owt-7be5be79.pth", "torchvision's AlexNet", "BSD-3-Clause"),
    "vgg19": Asset("vgg19.pth", "vgg19-dcbb9e9d.pth", "torchvision's VGG-19", "BSD-3-Clause"),
    "arcface": Asset(
        "arcface.onnx",
        "w600k_r50.onnx or another 112 px ArcFace model",
        "insightface model zoo",
        "non-commercial research",
    ),
    "fan": Asset(
        "fan.pth", "2DFAN4-11f355bf06.pth.tar", "face-alignment 1.5", "BSD-3-Clause code; weights as released"
    ),
    "s3fd": Asset("s3fd.pth", "s3fd-619a316812.pth", "face-alignment 1.5", "BSD-3-Clause code; weights as released"),
    "deca": Asset(
        "deca_model.tar", "deca_model.tar", "DECA's project page (registration)", "MPI, non-commercial research"
    ),
    "deep3d": Asset(
        "deep3d.pth",
        "epoch_20.pth",
        "the README of Deep3DFaceRecon_pytorch, which links two versions: the hash says which",
        "MIT code; weights for non-commercial research, as the Basel Face Model",
    ),
    "flame": Asset(
        "flame.npz",
        "generic_model.pkl (or flame2023.pkl) and landmark_embedding.npy",
        "flame.is.tue.mpg.de (registration), and the data folder of DECA",
        "MPI, non-commercial research; FLAME 2023 Open: CC BY 4.0",
        "generic_model.pkl landmark_embedding.npy",
    ),
    "bfm": Asset(
        "bfm.npz",
        "BFM_model_front.mat",
        "Basel Face Model 2009 (registration), prepared by Deep3DFaceRecon_pytorch",
        "University of Basel, non-commercial research",
        "BFM_model_front.mat",
    ),
    "ict": Asset("ict.npz", "FaceXModel (folder)", "github.com/ICT-VGL/ICT-FaceKit", "MIT", "FaceXModel"),
    "ict_face": Asset(
        "ict_face.npz", "FaceXModel (folder)", "github.com/ICT-VGL/ICT-FaceKit", "MIT", "FaceXModel", comes_with="ict"
    ),
}
