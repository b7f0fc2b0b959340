"""An event loop whose time passes only when nothing else is to be done: hours take no time, and are exact."""

import asyncio
import selectors


class _Selector(selectors.SelectSelector):
    loop = None

    def select(self, timeout=None):
        events = super().select(0)
        if events or timeout == 0:
            return events
        if timeout is None:
            raise RuntimeError("nothing is left to happen, and a task still waits")
        self.loop.now += timeout
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """Starts at 1000 s."""

    def __init__(self):
        self.now = 1000.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self):
        return self.now


def run(main):
    """Run a coroutine to its end in virtual time; tasks that are left over are an error."""

    async def checked():
        result = await main
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks are left: {left}"
        return result

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(checked())
