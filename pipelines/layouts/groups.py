"""Groups: what must stay on one side of a split, joined from what is known."""

Node = tuple[str, str]

# What a node is that groups are made of.
VIDEO, IDENTITY = "video", "identity"


class Groups:
    """Joins what must stay together; a node is (kind, name)."""

    def __init__(self) -> None:
        self._parent: dict[Node, Node] = {}

    def join(self, one: Node, other: Node) -> None:
        """Makes the groups of two nodes one; a node may be joined with itself."""
        self._parent[self._root(one)] = self._root(other)

    def names(self) -> dict[Node, str]:
        """A name for the group of each node: an identity, else an original video."""
        members: dict[Node, list[Node]] = {}
        for node in self._parent:
            members.setdefault(self._root(node), []).append(node)
        found = {}
        for nodes in members.values():
            identities = [name for kind, name in nodes if kind == IDENTITY]
            name = min(identities or [name for _, name in nodes])
            found.update(dict.fromkeys(nodes, name))
        return found

    def _root(self, node: Node) -> Node:
        parent = self._parent.setdefault(node, node)
        while parent != self._parent[parent]:
            self._parent[node] = parent = self._parent[parent]
        return parent
