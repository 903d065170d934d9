"""What the actors of a run share."""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.checker import Checker
from tests.simulation.ledger import Ledger
from tests.simulation.network import Network
from tests.simulation.skills import Shelf
from tests.simulation.weather import Weather
from tests.simulation.world import World


@dataclass
class Scene:
    """`calm` turns true when the faults stop: from then on everybody means well."""

    world: World
    network: Network
    ledger: Ledger
    checker: Checker
    weather: Weather
    shelf: Shelf
    calm: bool = False
