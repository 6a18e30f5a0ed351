"""Reviews within the budget: each is charged to its pod's namespace while it is decided, and answered unpatched beyond it.

Law: no room is never an error. The pod is allowed as it came, the answer warns, and a metric counts.
"""

from collections.abc import Awaitable, Callable

from webhook import admission
from webhook.admission import Refusal, RefusedError
from webhook.metrics import Metrics, Overload
from webhook.server.bodies import ArrivingBody, Head, NoRoomError
from webhook.server.budget import Budget, Reservation, of_address, of_namespace

Decide = Callable[[bytes, str | None, float], Awaitable[bytes]]
"""Body, the caller's ?timeout= and the time of arrival to the body of the answer."""

REVIEW_BYTES = 74 * 1024
"""Charged for a review beside its body: its task, its connection's buffers, the names of its claims. With it fewer reviews
can wait than one address may have connections, so that no connection is refused because all are waiting."""
_WARNING = "gracekeeper: not patched, its server is out of memory for the pods of {}; create the pod again"


class Reviews:
    """Answers reviews from one address after the other, as long as there is room."""

    def __init__(self, decide: Decide, budget: Budget, metrics: Metrics) -> None:
        self._decide = decide
        self._budget = budget
        self._metrics = metrics

    def reservation(self, client: tuple[str, int] | None) -> Reservation:
        """Return a reservation of nothing yet, for a request from this address."""
        return Reservation(self._budget, of_address(client[0] if client else ""))

    async def answer(self, body: ArrivingBody, reservation: Reservation, patience: str | None, began: float) -> bytes:
        """Return the body of the answer. RefusedError where there is none; GoneError where nobody waits for it."""
        try:
            text = await body.read()
        except NoRoomError as error:
            return self._unpatched(Overload.ARRIVAL, error.head, "this cluster")
        head = Head.of(text)
        if not reservation.pass_to(of_namespace(head.namespace), len(text) + REVIEW_BYTES):
            return self._unpatched(Overload.REVIEW, head, "this namespace")
        return await self._decide(text, patience, began)

    def _unpatched(self, overload: Overload, head: Head, of: str) -> bytes:
        if not head.uid:
            raise RefusedError(Refusal.OVERLOADED, "no room for this body, and no uid in its first bytes")
        self._metrics.overloaded(overload)
        return admission.body_of(admission.AdmissionResponse(head.uid, warnings=[_WARNING.format(of)]))
