"""A puppet ready to be filmed: head, hair, glasses and clothes as one mesh over one texture, and how it moves.

Vertices come in three runs: the head's own; shells, which are head vertices pushed out along their normals (hair on
the scalp, a beard); and rigid pieces (locks, glasses, garment), which follow the skull, the torso or a blend.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model.heads.head import HeadModel
from model.heads.rotation import axis_angle_to_matrix
from pipeline.puppets import appearance, hair, outfit
from pipeline.puppets.appearance import PART, Texture
from pipeline.puppets.backdrop import make_backdrop
from pipeline.puppets.exact.arithmetic import between, turned
from pipeline.puppets.exact.posing import Posing
from pipeline.puppets.normals import VertexNormals, vertex_normals
from pipeline.puppets.people import Person

TORSO_TURN = 0.3  # share of the head's rotation that the shoulders make
COLLAR_CM = -15.5  # height of the collar on the template
_PART_OF = {
    "skin": "skin", "eyelid": "skin", "scalp": "skin", "lips": "skin", "ear": "ears", "neck": "neck",
    "eyeball_left": "eyes", "eyeball_right": "eyes",
    "mouth_cavity": "mouth", "teeth": "mouth", "gums": "mouth", "tongue": "mouth",
}  # fmt: skip
_SWATCH_OF = {"mouth_cavity": "mouth", "teeth": "teeth", "gums": "tongue", "tongue": "tongue"}


@dataclass(frozen=True)
class Actor:
    """A person built on a head.

    Attributes:
        person: identity and look.
        texture: the painted atlas.
        backdrop: background picture (`pipeline.puppets.backdrop`).
        corners: (3, F) int64 vertices of every triangle.
        uv: (3, 2, F) atlas coordinates of every corner, in [0, 1].
        part: (F,) uint8 index into `appearance.PARTS`.
        soft: of the head and the shells, whose normals are recomputed from the posed vertices.
        shell_base: of the head's vertices under the shells'.
        shell_vertex: (n,) head vertex under every shell vertex.
        shell_cm: (n,) thickness there.
        points: (3, m) rigid vertices on the person's neutral head.
        normals: (3, m).
        along: (3, n + m) direction of strands on the neutral head, 0 where there are none; shells first.
        anchor: (m,) head vertex whose change of shape a rigid vertex follows.
        torso: (m,) share of the torso's motion, the rest being the skull's.
        rest: (3, V) the person's neutral head.
    """

    person: Person
    texture: Texture
    backdrop: np.ndarray
    corners: Tensor
    uv: Tensor
    part: Tensor
    soft: VertexNormals
    shell_base: VertexNormals
    shell_vertex: Tensor
    shell_cm: Tensor
    points: Tensor
    normals: Tensor
    along: Tensor
    anchor: Tensor
    torso: Tensor
    rest: Tensor

    @property
    def triangles(self) -> Tensor:
        """(F, 3) int64 vertices of every triangle."""
        return self.corners.t()


@dataclass
class _Parts:
    """Triangles collected while an actor is built."""

    triangles: list[np.ndarray]
    uv: list[np.ndarray]
    part: list[np.ndarray]

    def add(self, triangles: np.ndarray, uv: np.ndarray, part: np.ndarray | int) -> None:
        self.triangles.append(triangles)
        self.uv.append(uv)
        self.part.append(np.broadcast_to(part, len(triangles)))


class Studio:
    """Builds actors on a head and poses them.

    Args:
        head: the puppet head.
        texture_size: side of a person's atlas in pixels.
    """

    def __init__(self, head: HeadModel, texture_size: int) -> None:
        self.head = head
        self.posing = Posing(head)
        self.texture_size = texture_size
        arrays = head.arrays
        self.template = np.asarray(arrays.template, np.float64)
        self.triangles = np.asarray(arrays.triangles, np.int64)
        names = np.array(arrays.part_names)[arrays.triangle_part]
        self.part_name = names
        self.skin = self.triangles[np.isin(names, ("skin", "scalp", "eyelid", "neck", "lips"))]
        self.hairy = self.triangles[np.isin(names, ("skin", "scalp", "neck"))]
        self.uv = self._head_uv(names)
        self.part = np.array([PART[_PART_OF[name]] for name in names])
        self.landmarks = head.landmarks_of(head.template[None])[0].numpy()
        self.skull = torch.from_numpy(np.unique(self.triangles[names == "scalp"]))
        self.collar = torch.from_numpy(self._neck_extremes())
        self.canvas = appearance.Canvas(self.template, self.skin, self.landmarks, texture_size)

    def _neck_extremes(self) -> np.ndarray:
        """The four vertices (left, right, front, back) of the neck where a collar sits."""
        used = np.unique(self.skin)
        ring = used[np.abs(self.template[used, 1] - COLLAR_CM) < 1.6]
        points = self.template[ring]
        return ring[[points[:, 0].argmin(), points[:, 0].argmax(), points[:, 2].argmin(), points[:, 2].argmax()]]

    def _head_uv(self, names: np.ndarray) -> np.ndarray:
        corners = self.template[self.triangles]
        uv = _seamless_uv(corners)
        for side in ("eye_left", "eye_right"):
            eye = names == side.replace("eye", "eyeball")
            vertices = np.unique(self.triangles[eye])
            points = self.template[vertices]
            centre = 0.5 * (points.min(0) + points.max(0))
            direction = corners[eye] - centre
            uv[eye] = appearance.eye_uv(side, direction / np.linalg.norm(direction, axis=-1, keepdims=True))
        for name, swatch in _SWATCH_OF.items():
            uv[names == name] = appearance.swatch_uv(swatch)
        return uv

    def dress(self, person: Person) -> Actor:
        """Build a person: neutral head, hair, glasses, clothes, texture and backdrop."""
        shape = torch.from_numpy(person.identity.shape)[None]
        rest = self._neutral(shape)[0]
        normals = vertex_normals(rest[None], torch.from_numpy(self.triangles))[0].numpy().astype(np.float64)
        rest_np = rest.numpy().astype(np.float64)
        look, collected = person.look, _Parts([], [], [])
        tried = {"hair": hair.grow_shell(look, rest_np, self.template, self.hairy), "beard": self._beard(person)}
        grown = {part: shell for part, shell in tried.items() if shell}
        shells = list(grown.values())
        hidden = self._hidden(shells)
        collected.add(self.triangles[~hidden], self.uv[~hidden], self.part[~hidden])
        first = len(rest_np)
        for part, shell in grown.items():
            corner = self.template[shell.vertices][shell.triangles]
            uv = _strand_uv(corner) if part == "hair" else _seamless_uv(corner)
            collected.add(shell.triangles + first, uv, PART[part])
            first += len(shell.vertices)
        soft = torch.from_numpy(np.concatenate(collected.triangles))
        at = torch.arange(first)
        rigid = self._rigid(person, rest_np, normals)
        for piece in rigid:
            collected.add(piece.triangles + first, piece.uv, PART[piece.part])
            first += len(piece.points)

        covered = np.concatenate([s.vertices for s in shells] or [np.zeros(0, np.int64)])
        under = self.triangles[np.isin(self.triangles, covered).any(1)]
        return Actor(
            person=person,
            texture=appearance.paint_person(person, self.canvas),
            backdrop=make_backdrop(look),
            corners=_planes(np.concatenate(collected.triangles)),
            uv=_planes(np.concatenate(collected.uv).reshape(-1, 6)).float().view(3, 2, -1),
            part=torch.from_numpy(np.concatenate(collected.part).astype(np.uint8)),
            soft=VertexNormals(soft, at),
            shell_base=VertexNormals(torch.from_numpy(under), torch.from_numpy(covered)),
            shell_vertex=torch.from_numpy(covered),
            shell_cm=torch.from_numpy(np.concatenate([s.thickness for s in shells] or [np.zeros(0)])).float(),
            points=_planes(np.concatenate([p.points for p in rigid])).float(),
            normals=_planes(np.concatenate([p.normals for p in rigid])).float(),
            along=_planes(np.concatenate([s.along for s in shells] + [p.along for p in rigid])).float(),
            anchor=torch.from_numpy(np.concatenate([p.anchor for p in rigid])),
            torso=torch.from_numpy(np.concatenate([p.torso for p in rigid])).float(),
            rest=rest.t().contiguous(),
        )

    def _neutral(self, shape: Tensor) -> Tensor:
        still = (shape.new_zeros(len(shape), count) for count in (self.head.num_expression, self.head.num_pose))
        return self.posing.vertices(shape, *still)

    def _hidden(self, shells: list[hair.Shell]) -> np.ndarray:
        """Head triangles that lie deep under hair, away from the shells' borders: not worth drawing."""
        hidden = np.zeros(len(self.triangles), bool)
        for shell in shells:
            depth = np.zeros(len(self.template))
            depth[shell.vertices] = shell.thickness
            covered = np.zeros(len(self.template), bool)
            covered[shell.vertices] = True
            open_vertices = np.unique(self.triangles[~covered[self.triangles].all(1)])
            depth[open_vertices] = 0
            hidden |= (depth[self.triangles] > 0.12).all(1) & np.isin(self.part_name, ("skin", "scalp", "neck"))
        return hidden

    def _beard(self, person: Person) -> hair.Shell | None:
        if person.look.beard not in ("full", "goatee", "moustache"):
            return None
        share = appearance.beard_share(person.look.beard, self.template)
        kept = self.hairy[(share[self.hairy] > 0.25).all(1)]
        vertices, local = np.unique(kept, return_inverse=True)
        rng = np.random.default_rng([person.look.seed, 12])
        thickness = (share[vertices] - 0.3).clip(-0.1) * (0.45 + 0.12 * rng.standard_normal(len(vertices)))
        none = np.zeros((len(vertices), 3), np.float32)
        return hair.Shell(vertices, thickness.astype(np.float32), local.reshape(-1, 3), none)

    def _rigid(self, person: Person, rest: np.ndarray, normals: np.ndarray) -> list["_Piece"]:
        look, pieces = person.look, []
        locks = hair.grow_locks(look, rest, normals, self.template, self.hairy)
        if locks:
            torso = np.clip((-9.0 - locks.points[:, 1]) / 12.0, 0, 1)
            uv = appearance.region_uv("hair", locks.uv)[locks.triangles]
            mesh = (locks.points, locks.normals, locks.along, locks.triangles)
            pieces.append(_Piece(*mesh, uv, locks.anchor, torso, "hair"))
        glasses = outfit.make_glasses(look)
        if glasses:
            bridge = int(np.linalg.norm(self.template - self.landmarks[27], axis=1).argmin())
            width = np.ptp(rest[:, 0]) / np.ptp(self.template[:, 0])
            points = (glasses.points - self.template[bridge]) * np.array([width, 1, 1]) + rest[bridge]
            pieces.append(_piece(points, glasses, appearance.swatch_uv("glasses"), bridge, 0.0, "glasses"))
        garment = outfit.make_garment(look)
        ring = self.collar.numpy()
        here, there = self.template[ring], rest[ring]
        stretch = np.ones(3)
        stretch[[0, 2]] = np.ptp(there[:, [0, 2]], axis=0) / np.ptp(here[:, [0, 2]], axis=0)
        points = (garment.points - here.mean(0)) * stretch + there.mean(0)
        uv = appearance.region_uv("garment", garment.share)[garment.triangles]
        pieces.append(_piece(points, garment, uv, int(ring[0]), 1.0, "clothes"))
        return pieces

    def pose(self, actor: Actor, shape: Tensor, expression: Tensor, pose: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pose an actor, which need not wear its own shape.

        Args:
            actor: from `dress`.
            shape: (B, S) identity codes.
            expression: (B, E) expression codes.
            pose: (B, 3J) joint rotations.

        Returns:
            (B, 3, N) vertices in head units, unit normals, and unit directions of strands (0 where none).
        """
        head = self.head
        posed = self.posing.vertices(shape, expression, pose).transpose(1, 2).contiguous()
        shell = posed.index_select(2, actor.shell_vertex) + actor.shell_base(posed) * actor.shell_cm
        rotations = head.joint_rotations(pose)
        skull = rotations[:, 0] @ rotations[:, 1]
        torso = axis_angle_to_matrix(TORSO_TURN * pose[:, :3])
        if (shape == torch.from_numpy(actor.person.identity.shape)).all():
            neutral, points = actor.rest[None], actor.points
        else:
            neutral = self._neutral(shape).transpose(1, 2).contiguous()
            points = actor.points + (neutral - actor.rest).index_select(2, actor.anchor)
        on_skull = _carry(points, skull, *(_middle(verts, self.skull) for verts in (neutral, posed)))
        on_torso = _carry(points, torso, *(_middle(verts, self.collar) for verts in (neutral, posed)))
        rigid = _between(on_skull, on_torso, actor.torso)
        facing = _between(_turned(skull, actor.normals), _turned(torso, actor.normals), actor.torso)
        soft = actor.soft(torch.cat([posed, shell], 2))
        verts, normals = torch.cat([posed, shell, rigid], 2), torch.cat([soft, facing], 2)
        return verts, normals, torch.cat([torch.zeros_like(posed), _turned(skull, actor.along)], 2)


@dataclass(frozen=True)
class _Piece:
    points: np.ndarray
    normals: np.ndarray
    along: np.ndarray
    triangles: np.ndarray
    uv: np.ndarray
    anchor: np.ndarray
    torso: np.ndarray
    part: str


def _piece(points: np.ndarray, surface: outfit.Surface, uv: np.ndarray, anchor: int, torso: float, part: str) -> _Piece:
    normals = vertex_normals(torch.from_numpy(points)[None], torch.from_numpy(surface.triangles))[0].numpy()
    count = len(points)
    corners = np.broadcast_to(uv, (len(surface.triangles), 3, 2))
    mesh = (points, normals, np.zeros((count, 3)), surface.triangles)
    return _Piece(*mesh, corners, np.full(count, anchor), np.full(count, torso), part)


def _seamless_uv(corners: np.ndarray) -> np.ndarray:
    """Atlas coordinates of skin triangles (F, 3, 3), each on one side of the seam at the back of the head."""
    uv = appearance.head_uv(corners)
    uv[..., 0] -= np.round(uv[..., 0] - uv[:, :1, 0])
    return uv


def _strand_uv(corners: np.ndarray) -> np.ndarray:
    """Strands of a shell run down the head: across = azimuth, folded so that it has no seam."""
    across = np.abs(((hair.azimuth_of(corners) / np.pi * 5.0 + 0.5) % 2.0) - 1.0)
    along = np.clip((11.5 - corners[..., 1]) / 18.0, 0, 1)
    return appearance.region_uv("hair", np.stack([across, 0.15 + 0.6 * along], -1))


def _planes(rows: np.ndarray) -> Tensor:
    """Turn (n, k) into (k, n): gathers and sums along planes are several times faster than along rows."""
    return torch.from_numpy(np.ascontiguousarray(rows.T))


def _middle(verts: Tensor, chosen: Tensor) -> Tensor:
    """Mean (B, 3, 1) of chosen vertices (B, 3, V)."""
    return verts.index_select(2, chosen).mean(2, keepdim=True)


def _carry(points: Tensor, rotation: Tensor, centre: Tensor, moved: Tensor) -> Tensor:
    """Turn points (B, 3, n) about `centre` (B, 3, 1) and bring it to `moved`."""
    return _turned(rotation, points - centre) + moved


def _turned(rotation: Tensor, points: Tensor) -> Tensor:
    """Turn points (3, n) or (B, 3, n) by rotations (B, 3, 3)."""
    return torch.from_numpy(turned(rotation.numpy(), points.view(-1, *points.shape[-2:]).numpy()))


def _between(start: Tensor, end: Tensor, share: Tensor) -> Tensor:
    return torch.from_numpy(between(start.numpy(), end.numpy(), share.numpy()))
