"""The names of what is kept in step: a Secret, and the webhook configurations whose entries call one Service."""

from dataclasses import dataclass

_CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


@dataclass(frozen=True, slots=True)
class Objects:
    """Names of objects of one release."""

    namespace: str
    service: str
    secret: str
    configurations: tuple[str, ...]

    @property
    def secret_path(self) -> str:
        """Where the API has the Secret."""
        return f"/api/v1/namespaces/{self.namespace}/secrets/{self.secret}"

    @property
    def configuration_paths(self) -> tuple[str, ...]:
        """Where the API has the webhook configurations."""
        return tuple(f"{_CONFIGURATIONS}/{name}" for name in self.configurations)
