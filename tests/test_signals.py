import os
import signal

import pytest

from stylegan2_tf.signals import SIGNALS, first_signal


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_is_only_remembered(number, capsys):
    seen = []
    with first_signal(seen.append):
        os.kill(os.getpid(), number)
        assert seen == [number]
        assert all(signal.getsignal(either) == signal.SIG_DFL for either in SIGNALS)
    assert signal.Signals(number).name in capsys.readouterr().err


@pytest.mark.parametrize("first", SIGNALS)
@pytest.mark.parametrize("second", SIGNALS)
def test_the_second_ends_the_process(first, second):
    child = os.fork()
    if not child:
        with first_signal(lambda number: None):
            os.kill(os.getpid(), first)
            os.kill(os.getpid(), second)
            os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == second


def test_the_handlers_from_before_come_back():
    before = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(ValueError), first_signal(print):
        os.kill(os.getpid(), signal.SIGUSR1)
        raise ValueError
    assert [signal.getsignal(number) for number in SIGNALS] == before
