"""Looking at a network in training changes nothing of what it learns."""

import torch

from model.training.averaging import WeightAverage
from model.training.looks import looked_at
from model.training.loop import Players, train_step
from tests.toy_networks import CPU, batch_at, lesson, state_of, train_config


def trained(look: bool) -> dict[str, torch.Tensor]:
    made = lesson()
    players = Players.make(made, train_config(), CPU)
    made.network.train(), made.rivals.train()
    for step in range(3):
        if look:
            with looked_at(made.network):
                assert not any(module.training for module in made.network.modules())
                image = made.network(batch_at(9).source, batch_at(9).signals).image
                torch.rand(3)  # a network may draw numbers
            assert not image.requires_grad
            assert all(module.training for module in made.network.modules())
        train_step(players, batch_at(step), train_config(), CPU)
    return {**state_of(made), "rng": torch.get_rng_state()}


def test_a_look_leaves_no_trace():
    plain, looked = trained(False), trained(True)
    assert all(torch.equal(plain[name], looked[name]) for name in plain)


def test_what_a_look_keeps_is_put_back_when_it_fails():
    network = lesson().network.train()
    network.guidance.eval()
    before = [module.training for module in network.modules()]
    state = torch.get_rng_state()
    try:
        with looked_at(network):
            torch.rand(5)
            raise KeyError
    except KeyError:
        pass
    assert [module.training for module in network.modules()] == before
    assert torch.equal(torch.get_rng_state(), state)


def test_the_average_follows_its_formula_and_copies_what_is_no_weight():
    made = lesson()
    players = Players.make(made, train_config(), CPU)
    made.network.train()
    average = WeightAverage(made.network, 0.75)
    wanted = {name: value.double().clone() for name, value in made.network.state_dict().items()}
    parameters = dict(made.network.named_parameters())
    for step in range(4):
        train_step(players, batch_at(step), train_config(), CPU)
        average.update()
        for name, value in made.network.state_dict().items():
            mixed = name in parameters or name.endswith(("running_mean", "running_var"))
            wanted[name] = 0.75 * wanted[name] + 0.25 * value.double() if mixed else value.double()
    found, now = average.state(), made.network.state_dict()
    for name, value in wanted.items():
        torch.testing.assert_close(found[name].double(), value, rtol=1e-5, atol=1e-6)
    norms = [name for name in found if name.endswith(("_u", "_v"))]
    assert norms
    assert all(torch.equal(found[name], now[name]) for name in norms)
    assert any(not torch.equal(found[name], now[name]) for name in parameters)


def test_an_average_comes_back_and_fills_a_network():
    made, other = lesson(), lesson()
    average, again = WeightAverage(made.network, 0.5), WeightAverage(other.network, 0.5)
    with torch.no_grad():
        for parameter in made.network.parameters():
            parameter.add_(1.0)
    average.update()
    again.restore(average.state())
    again.fill(other.network)
    assert all(torch.equal(value, average.state()[name]) for name, value in other.network.state_dict().items())
