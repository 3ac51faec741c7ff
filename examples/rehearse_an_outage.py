"""What would happen to a thousand calls while a vendor is away? No key, no network, no waiting."""

from pathlib import Path

from multimodel.testing import Simulation
from multimodel.testing.simulation import Healthy, Outage

POLICY = Path(__file__).parent / "policies" / "production.yaml"

vendors = {"dashscope": Outage(start=60, end=180), "deepseek": Healthy(first_content=0.8)}
result = Simulation(POLICY, vendors, route="chat").run(calls=1_000, rate=5.0)
print(result)
