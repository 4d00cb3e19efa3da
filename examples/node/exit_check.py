"""on_exit() checks that all has happened, as a test does: wirehop run exit_check.py"""

from wirehop import node

timer_executed = False


def executed():
    global timer_executed
    timer_executed = True


node.set_timeout(executed, 0.1)


def on_exit():
    assert timer_executed
