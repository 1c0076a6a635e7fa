"""What a container is told comes over as Compose would have told it: who wins, and what is taken away."""

from tests.unit.compose_kit import converted, refused, variables


def test_a_variable_that_is_named_without_a_value_takes_away_what_its_file_says():
    files = {
        "compose.yaml": "services: {web: {image: x, env_file: web.env, environment: [LEVEL, SHELL_SAYS]}}",
        "web.env": "LEVEL=debug\nSHELL_SAYS=file\nKEPT=1\n",
    }
    done = converted(files, environment={"SHELL_SAYS": "shell"})
    assert refused(done) == {}
    assert variables(done, "web") == {"SHELL_SAYS": "shell", "KEPT": "1"}
