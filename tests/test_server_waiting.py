"""A review that waits for facts: it keeps its JSON and nothing else, and large ones take turns."""

import asyncio
import json
from itertools import pairwise

import pytest

from tests import webhook_server
from tests.policy_calls import look_at
from tests.webhook_server import TRAINING_POD, review
from webhook.evaluation import NoFacts
from webhook.policy.facts import Facts
from webhook.server.pod_in_review import PodInReview
from webhook.server.turns import Turns

CLAIMS = [{"name": f"v{n}", "persistentVolumeClaim": {"claimName": f"c{n}"}} for n in range(100)]
WITH_CLAIMS = {**TRAINING_POD, "spec": {**TRAINING_POD["spec"], "volumes": CLAIMS}}


async def at_once():
    return Facts(missing=())


async def later():
    await asyncio.sleep(0)
    return Facts(missing=())


async def cut_off():
    await asyncio.sleep(60)


def pod_in_review():
    pod = PodInReview(json.dumps(review()).encode(), Turns())
    pod.look = look_at(pod.manifest)
    return pod


async def test_facts_that_are_there_at_once_cost_no_second_parse():
    pod = pod_in_review()
    before = pod.review
    assert await pod.without(at_once()) == Facts()
    assert pod.review is before
    assert pod.look is not None


async def test_before_the_first_wait_the_pod_is_dropped_and_parsed_again_afterwards():
    pod = pod_in_review()
    before = pod.review
    waiting = asyncio.ensure_future(pod.without(later()))
    await asyncio.sleep(0)
    assert pod.look is None
    assert await waiting == Facts()
    assert pod.review == before
    assert pod.review is not before


async def test_a_deadline_cuts_the_wait_off():
    pod = pod_in_review()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await pod.without(cut_off())
    assert pod.review.object == TRAINING_POD


async def test_an_error_while_waiting_is_told():
    async def broken():
        await asyncio.sleep(0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await pod_in_review().without(broken())


def test_a_pod_that_had_to_wait_is_decided_like_one_that_had_not():
    class Slow(NoFacts):
        async def facts(self, _namespace, _lookups, _seconds):
            await asyncio.sleep(0.01)
            return Facts()

    with webhook_server.running() as server, webhook_server.running(source=Slow()) as slow_server:
        assert slow_server.post(review(WITH_CLAIMS)).body == server.post(review(WITH_CLAIMS)).body


async def test_one_turn_is_taken_in_each_turn_of_the_loop():
    turns, order = Turns(), []

    async def large(number):
        await turns.take()
        order.append(number)

    async def small():
        while len(order) < 3:
            order.append("small")
            await asyncio.sleep(0)

    await asyncio.gather(*(large(number) for number in range(4)), small())
    assert [entry for entry in order if entry != "small"] == [0, 1, 2, 3]
    assert not any(a != "small" and b != "small" for a, b in pairwise(order[:4]))


async def test_who_is_cut_off_while_it_waits_for_its_turn_gives_it_to_the_next():
    turns = Turns()
    waiting = [asyncio.ensure_future(turns.take()) for _ in range(4)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    waiting[2].cancel()
    await asyncio.wait_for(waiting[3], 5)
    await asyncio.wait_for(turns.take(), 5)
