"""The queue of long work: procrastinate, in the schema `queue` of the same database.

It gives out one job of a kind at a time, in the order asked, notices a worker that fell silent, and tries
again what was killed. `db.jobs` puts jobs into it; `gridmgmt jobs work` takes them out.
"""

from procrastinate import App, BaseRetryStrategy, PsycopgConnector, RetryDecision, RetryStrategy
from procrastinate.jobs import Job
from sqlalchemy.engine import make_url

SCHEMA = "queue"
# What was due while no worker ran is caught up, once, if it was due so many seconds ago or less.
CAUGHT_UP = 7 * 86_400
# A job whose work was killed is tried again so many times, after 6, 36 and 216 seconds.
TRIES, WAIT = 3, 6


class TryAgain(Exception):
    """The process of a job was killed, or lost the database: what it began was undone."""


class Busy(Exception):
    """Another process still works on a job of this kind: its worker was thought dead, and is not."""


class Stopping(Exception):
    """The worker ends before the job does."""


class Failed(Exception):
    """The job said itself why it came to nothing; to try again would not help."""


class Retry(BaseRetryStrategy):
    """Tries again what was killed, a few times; what had to wait or was put back, as often as needed."""

    def __init__(self, wait: int = WAIT) -> None:
        self._killed = RetryStrategy(max_attempts=TRIES, exponential_wait=wait, retry_exceptions=[TryAgain])
        self._wait = wait

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if isinstance(exception, Busy | Stopping):
            return RetryDecision(retry_in={"seconds": self._wait})
        return self._killed.get_retry_decision(exception=exception, job=job)


def make_app(url: str) -> App:
    """Return procrastinate's application on a database; it connects when it is opened."""
    where = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    connector = PsycopgConnector(
        conninfo=where, kwargs={"options": f"-c search_path={SCHEMA}"}, min_size=1, max_size=4
    )
    return App(connector=connector, periodic_defaults={"max_delay": CAUGHT_UP})
