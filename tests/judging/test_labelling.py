"""The page to label in, over HTTP: whose labels are where, what is refused, and that no text can act."""

import json
import re
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from steps.errors import InputError
from steps.judging.label_store import LabelStore
from steps.judging.labelling import LabelServer
from steps.judging.labels import read_labels, read_rows, write_rows
from steps.judging.sample import Candidate, SampleSettings, sample_of

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>{{ 7*7 }}"


def rows(n=3, **settings):
    answers = [Candidate(f"i{at}", "s", "k", f"Q{at} {HOSTILE}", (f"A{at}",), None) for at in range(n)]
    return sample_of(answers, SampleSettings(n=n, **settings))


@pytest.fixture
def path(tmp_path):
    write_rows(tmp_path / "labels.csv", rows())
    return tmp_path / "labels.csv"


@pytest.fixture
def serve():
    running = []

    def start(path):
        store = LabelStore(path).__enter__()
        server = LabelServer(store)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        running.append((store, server, thread))
        return server

    yield start
    for store, server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()
        store.__exit__(None, None, None)


def ask(url, body=None, **headers):
    data = None if body is None else json.dumps(body).encode()
    kind = {} if body is None else {"Content-Type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, kind | headers)) as reply:
            return reply.status, reply.read().decode(), reply.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), error.headers


def tasks_of(server, annotator):
    status, body, _ = ask(f"{server.url}tasks?annotator={annotator}")
    assert status == 200, body
    return json.loads(body)["tasks"]


def give(server, annotator, task, label, **more):
    return ask(f"{server.url}label", {"annotator": annotator, "task_id": task["task_id"], "label": label, **more})


def test_each_label_is_in_the_file_at_once_and_people_do_not_see_each_others(serve, path):
    server = serve(path)
    first, second, _ = tasks_of(server, "Ann")
    assert give(server, "Ann", first, "yes", comment="clear")[0] == 200
    assert [(x.annotator, x.value) for x in read_labels([path])] == [("Ann", 1)]
    assert [task["label"] for task in tasks_of(server, "Bob")] == ["", "", ""]
    assert give(server, "Bob", first, "no")[0] == 200
    assert give(server, "Ann", second, "skip")[0] == 200
    assert [(task["label"], task["comment"]) for task in tasks_of(server, "Ann")] == [
        ("yes", "clear"), ("skip", ""), ("", "")
    ]  # fmt: skip
    assert [(row["annotator"], row["label"]) for row in read_rows(path)] == [
        ("Ann", "yes"), ("Bob", "no"), ("Ann", "skip"), ("", "")
    ]  # fmt: skip


def test_a_changed_mind_replaces_the_label(serve, path):
    server = serve(path)
    task = tasks_of(server, "Ann")[0]
    give(server, "Ann", task, "yes")
    give(server, "Ann", task, "no")
    assert [label.value for label in read_labels([path])] == [0]


def test_labels_survive_the_server_and_work_goes_on_where_it_stopped(serve, path):
    give_first = serve(path)
    give(give_first, "Ann", tasks_of(give_first, "Ann")[0], "yes")
    give_first.store.__exit__(None, None, None)
    assert [task["label"] for task in tasks_of(serve(path), "Ann")] == ["yes", "", ""]


def test_what_a_spreadsheet_saved_meanwhile_stays(serve, path):
    server = serve(path)
    changed = read_rows(path)
    changed[2] |= {"annotator": "Cleo", "label": "no"}
    write_rows(path, changed)
    give(server, "Ann", tasks_of(server, "Ann")[0], "yes")
    assert {label.annotator for label in read_labels([path])} == {"Ann", "Cleo"}


def test_labels_given_at_the_same_time_are_all_kept(serve, tmp_path):
    path = tmp_path / "many.jsonl"
    write_rows(path, rows(20))
    server = serve(path)
    tasks = tasks_of(server, "Ann")
    work = [(name, task) for task in tasks for name in ("Ann", "Bob")]
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda each: give(server, each[0], each[1], "yes")[0], work))
    assert done == [200] * 40
    assert len(read_labels([path])) == 40


def test_criteria_are_saved_beside_the_label(serve, tmp_path):
    write_rows(tmp_path / "labels.csv", rows(1, scale="1-5", criteria=("accuracy",)))
    server = serve(tmp_path / "labels.csv")
    (task,) = tasks_of(server, "Ann")
    assert (task["levels"], task["criteria"]) == ([1, 5], {"accuracy": ""})
    give(server, "Ann", task, "", criteria={"accuracy": "2"})
    assert tasks_of(server, "Ann")[0]["criteria"] == {"accuracy": "2"}
    give(server, "Ann", task, "4", criteria={"accuracy": "2"})
    (label,) = read_labels([tmp_path / "labels.csv"])
    assert (label.value, label.criteria) == (4, {"accuracy": 2})


def test_a_person_is_shown_no_source_no_order_and_no_id_of_the_item(serve, tmp_path):
    pairs = [Candidate("secret-id", "secret-source", "secret-kind", "Q", ("one", "other"), None)]
    write_rows(tmp_path / "pairs.csv", sample_of(pairs, SampleSettings(n=1)))
    server = serve(tmp_path / "pairs.csv")
    _, body, _ = ask(f"{server.url}tasks?annotator=Ann")
    assert "secret" not in body
    assert "order" not in body


def test_the_page_admits_its_own_script_only_and_holds_no_text_of_a_document(serve, path):
    server = serve(path)
    _, page, headers = ask(server.url)
    policy = headers["Content-Security-Policy"]
    (nonce,) = set(re.findall(r"nonce-([\w-]+)", policy))
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert re.findall(r"<(?:script|style)[^>]*>", page) == [f'<style nonce="{nonce}">', f'<script nonce="{nonce}">']
    assert "owned" not in page
    assert not re.search(r"\son\w+=|style=|innerHTML|https?://", page)
    _, again, _ = ask(server.url)
    assert nonce not in again
    assert tasks_of(server, "Ann")[0]["prompt"].endswith(HOSTILE)


def test_a_request_under_another_host_name_or_without_the_secret_is_refused(serve, path):
    server = serve(path)
    assert ask(server.url, Host="evil.example")[0] == 403
    root = server.url.removesuffix(f"{server.secret}/")
    assert ask(root)[0] == 404
    assert ask(f"{root}{'x' * 22}/tasks?annotator=Ann")[0] == 404
    assert ask(f"{root}label", {"annotator": "Ann", "task_id": "t", "label": "yes"})[0] == 404


def test_a_form_of_another_site_cannot_post(serve, path):
    server = serve(path)
    task = tasks_of(server, "Ann")[0]
    body = {"annotator": "Ann", "task_id": task["task_id"], "label": "yes"}
    assert ask(f"{server.url}label", body, **{"Content-Type": "text/plain"})[0] == 400
    assert not any(row["label"] for row in read_rows(path))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"label": "maybe"}, "'maybe' is not one of yes, no, or skip"),
        ({"task_id": "none"}, "the file has no task none"),
        ({"annotator": " "}, "a name has 1 to 80 printable characters"),
        ({"criteria": {"tone": "yes"}}, "the file has no column label.tone"),
        ({"criteria": []}, "a label is an object"),
        ({"comment": "x" * 5000}, "at most 4000"),
    ],
)
def test_what_cannot_be_a_label_is_refused_with_words_and_changes_nothing(serve, path, change, said):
    server = serve(path)
    before = path.read_bytes()
    body = {"annotator": "Ann", "task_id": tasks_of(server, "Ann")[0]["task_id"], "label": "yes", **change}
    status, reply, _ = ask(f"{server.url}label", body)
    assert status == 400
    assert said in json.loads(reply)["error"]
    assert path.read_bytes() == before


def test_a_file_is_served_once_at_a_time(serve, path):
    serve(path)
    with pytest.raises(InputError, match="is being labelled by another"), LabelStore(path):
        pass


def test_a_file_with_a_wrong_cell_is_refused_before_anything_is_served(path):
    changed = read_rows(path)
    changed[1] |= {"scale": "often"}
    write_rows(path, changed)
    with pytest.raises(InputError, match="row 2, column scale: 'often' is no scale"):
        LabelStore(path)
