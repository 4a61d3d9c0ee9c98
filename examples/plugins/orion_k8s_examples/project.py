"""A history that lies in the project which it belongs to: project://NAME."""

from pathlib import Path

from orion_k8s.errors import ConfigurationError
from orion_k8s.storage.sqlite import SQLite


class Project(SQLite):
    """SQLite, in the nearest folder above that is a repository of git."""

    kind = "project"

    @classmethod
    def from_url(cls, url, name=None):
        here = Path.cwd()
        for folder in (here, *here.parents):
            if (folder / ".git").exists():
                break
        else:
            raise ConfigurationError(f"{here} is in no repository of git: use a path instead.")
        return cls(folder / ".orion" / f"{url.partition('://')[2] or name or 'history'}.db")

    def describe(self):
        return f"project://{Path(self.path).stem} in {self.path}"
