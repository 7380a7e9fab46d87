"""Under every fault each verb gives the right answer or an error in time, and docs/remote.md says which."""

import faults
from conftest import find_binary


def test_the_table_of_the_docs_is_what_happens():
    binary = find_binary()
    found = faults.outcomes(binary, binary.parent / "terravec-testserver")
    assert "OTHER" not in found.values(), [key for key, said in found.items() if said == "OTHER"]
    page = (faults.ROOT / "docs" / "remote.md").read_text()
    documented = page.split(faults.TABLE[0])[1].split(faults.TABLE[1])[0].strip()
    assert documented == faults.table(found)
