"""A repository of TUF, written with python-tuf: whole, or wrong in one chosen way.

What follows this text in a test says what is in it. `save(name)` writes the repository as a
mirror has it then, below the folder that is the first argument.
"""

import hashlib
import os
import sys
from copy import deepcopy
from datetime import datetime, timedelta, timezone
from urllib.parse import quote

from securesystemslib.signer import CryptoSigner, Signature, SSlibKey
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

NOW = datetime.now(timezone.utc).replace(microsecond=0)
LATER = NOW + timedelta(days=30)
PAST = NOW - timedelta(days=1)
TOP = ["root", "timestamp", "snapshot", "targets"]


class Alias:
    """Signs with a key that stands under another id."""

    def __init__(self, signer, keyid):
        key = signer.public_key
        self.signer = signer
        self.public_key = SSlibKey(keyid, key.keytype, key.scheme, key.keyval)

    def sign(self, payload):
        return Signature(self.public_key.keyid, self.signer.sign(payload).signature)


class Repository:
    def __init__(self, consistent=True):
        self.root = Root(consistent_snapshot=consistent, expires=LATER)
        self.timestamp = Timestamp(expires=LATER)
        self.snapshot = Snapshot(expires=LATER)
        self.roles = {"targets": Targets(expires=LATER)}
        self.signers = {}
        self.root_signers = []
        self.files = {}
        for role in TOP:
            self.add_key(role)
        self.sign_root()
        self.first_root = self.files["metadata/1.root.json"]
        self.publish()

    def __deepcopy__(self, memo):
        """Another repository with the same keys."""
        other = object.__new__(Repository)
        for name, value in vars(self).items():
            if name == "signers":
                value = {role: list(signers) for role, signers in value.items()}
            elif name in ("files", "root_signers"):
                value = value.copy()
            else:
                value = deepcopy(value)
            setattr(other, name, value)
        return other

    def add_key(self, role, delegator=None, signer=None):
        signer = signer or CryptoSigner.generate_ed25519()
        holder = self.roles[delegator] if delegator else self.root
        holder.add_key(signer.public_key, role)
        if signer not in self.signers.setdefault(role, []):
            self.signers[role].append(signer)

    def replace_keys(self, role, delegator=None):
        holder = self.roles[delegator] if delegator else self.root
        for signer in self.signers[role]:
            holder.revoke_key(signer.public_key.keyid, role)
        self.signers[role] = []
        self.add_key(role, delegator)

    def delegate(self, delegator, name, paths=("*",), terminating=False, prefixes=None):
        role = self.roles[delegator]
        role.delegations = role.delegations or Delegations({}, {})
        paths = None if prefixes else list(paths)
        role.delegations.roles[name] = DelegatedRole(name, [], 1, terminating, paths, prefixes)
        self.roles.setdefault(name, Targets(expires=LATER))
        signers = self.signers.get(name) or [CryptoSigner.generate_ed25519()]
        for signer in signers:
            self.add_key(name, delegator, signer)

    def target(self, role, path, content, algorithms=("sha256",)):
        content = content.encode()
        digests = {name: hashlib.new(name, content).hexdigest() for name in algorithms}
        self.roles[role].targets[path] = TargetFile(len(content), digests, path)
        folder, slash, name = path.rpartition("/")
        if self.root.consistent_snapshot:
            for digest in digests.values():
                self.files[f"targets/{folder}{slash}{digest}.{name}"] = content
        else:
            self.files[f"targets/{path}"] = content

    def signed(self, content, signers):
        metadata = Metadata(deepcopy(content))
        for signer in signers:
            metadata.sign(signer, append=True)
        return metadata.to_bytes(JSONSerializer())

    def put(self, name, version, data):
        prefix = f"{version}." if self.root.consistent_snapshot else ""
        self.files[f"metadata/{prefix}{quote(name, '')}.json"] = data

    def sign_root(self):
        signers = self.root_signers + [s for s in self.signers["root"] if s not in self.root_signers]
        self.files[f"metadata/{self.root.version}.root.json"] = self.signed(self.root, signers)
        self.root_signers = list(self.signers["root"])

    def next_root(self):
        self.root.version += 1
        self.sign_root()

    def sign_role(self, name, signers=None):
        role = self.roles[name]
        data = self.signed(role, self.signers[name] if signers is None else signers)
        self.put(name, role.version, data)
        self.snapshot.meta[f"{name}.json"] = MetaFile(role.version)

    def sign_snapshot(self, pin=None):
        self.put("snapshot", self.snapshot.version, self.signed(self.snapshot, self.signers["snapshot"]))
        self.timestamp.snapshot_meta = pin or MetaFile(self.snapshot.version)

    def sign_timestamp(self):
        self.files["metadata/timestamp.json"] = self.signed(self.timestamp, self.signers["timestamp"])

    def publish(self):
        """Signs everything as it stands."""
        for name in self.roles:
            self.sign_role(name)
        self.sign_snapshot()
        self.sign_timestamp()

    def publish_next(self):
        """Everything but the root is a version on."""
        for role in [*self.roles.values(), self.snapshot, self.timestamp]:
            role.version += 1
        self.publish()

    def save(self, name):
        folder = os.path.join(sys.argv[1], name)
        for path, data in {**self.files, "root.json": self.first_root}.items():
            path = os.path.join(folder, path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)


