"""One way to map over documents: on this machine, or on a cluster. The choice is the site's and never changes a result."""

from codetextbook.engine.cluster import RayEngine
from codetextbook.engine.local import Engine, LocalEngine

__all__ = ["Engine", "LocalEngine", "RayEngine"]
