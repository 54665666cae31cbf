# SPDX-License-Identifier: Apache-2.0
"""What the linker made: what it exports, and whether it can leave a process again."""

import pytest

import elf
from httpd import BUILD
from waiting import SANITIZED

_MODULE = BUILD / "mod_websocket.so"
_PLUGINS = sorted((BUILD / "plugins").glob("*.so"))
_SHIPPED = [_MODULE, *_PLUGINS]


def _name(path):
    return path.name


def test_the_module_exports_its_record_and_nothing_else():
    assert elf.exports(_MODULE) == {"websocket_module"}


@pytest.mark.parametrize("plugin", _PLUGINS, ids=_name)
def test_a_plugin_exports_its_init_functions_and_nothing_else(plugin):
    exports = elf.exports(plugin)
    assert exports
    assert [name for name in exports if not name.endswith("_init")] == []


@pytest.mark.parametrize("file", _SHIPPED, ids=_name)
def test_no_symbol_pins_it_in_a_process(file):
    assert elf.unique_symbols(file) == set()


@pytest.mark.parametrize("file", _SHIPPED, ids=_name)
def test_its_stack_and_its_tables_of_addresses_cannot_be_abused(file):
    assert not elf.has_executable_stack(file)
    assert elf.is_read_only_after_loading(file)


@pytest.mark.skipif(SANITIZED, reason="sanitizers want to see what is called, not its checked twin")
def test_the_compiler_guards_stack_and_copies():
    wanted = elf.imports(_MODULE)
    assert "__stack_chk_fail" in wanted
    assert any(name.endswith("_chk") for name in wanted), wanted
