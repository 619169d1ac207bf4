-- A journal as version 1 of the schema wrote it. Made once by its own code; never changed: it must open for ever.
PRAGMA user_version=1;
BEGIN TRANSACTION;
CREATE TABLE history (
    number INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    at_s REAL NOT NULL,
    what TEXT NOT NULL,
    text TEXT NOT NULL
);
INSERT INTO "history" VALUES(1,'4ddb3e96801a1ee2b77dc5247c0db478',1795530720.0,'TaskAccepted','archive of 120 bytes');
INSERT INTO "history" VALUES(2,'4ddb3e96801a1ee2b77dc5247c0db478',1795530721.0,'RunStarted','wasm 4711');
INSERT INTO "history" VALUES(3,'05de873f44a8122638e108bceca5e66f',1795530720.0,'TaskAccepted','archive of 120 bytes');
INSERT INTO "history" VALUES(4,'05de873f44a8122638e108bceca5e66f',1795530721.0,'RunStarted','wasm 4711');
INSERT INTO "history" VALUES(5,'88e081c53eb0f9878e9f862bc9b18574',1795530720.0,'TaskAccepted','archive of 120 bytes');
INSERT INTO "history" VALUES(6,'88e081c53eb0f9878e9f862bc9b18574',1795530721.0,'RunStarted','wasm 4711');
INSERT INTO "history" VALUES(7,'8322e87d24582952e5c996da182de0ec',1795530720.0,'TaskAccepted','archive of 120 bytes');
INSERT INTO "history" VALUES(8,'c071cf5f5ed6f884cc70155b6f05f755',1795530720.0,'TaskAccepted','archive of 120 bytes');
INSERT INTO "history" VALUES(9,'c071cf5f5ed6f884cc70155b6f05f755',1795530723.0,'RunStarted','wasm 4711');
INSERT INTO "history" VALUES(10,'552b3e92fa034f4dad6d67146d37ca21',1795530720.0,'TaskAccepted','archive of 120 bytes');
CREATE TABLE node (id INTEGER PRIMARY KEY CHECK (id = 1), row TEXT NOT NULL);
INSERT INTO "node" VALUES(1,'{"mode":"paused","mode_since_s":1795530720.0,"until_s":1795534320.0,"quit_after":false,"trust_score":12}');
CREATE TABLE tasks (
    key TEXT PRIMARY KEY,
    task_id TEXT NOT NULL,
    is_open INTEGER NOT NULL,
    ended_at_s REAL,
    row TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO "tasks" VALUES('05de873f44a8122638e108bceca5e66f','failed Ünïcode/..',1,1795530722.0,'{"task_id":"failed \u00dcn\u00efcode/..","key":"05de873f44a8122638e108bceca5e66f","attempt":1,"body_sha256":"abababababababababababababababababababababababababababababababab","demand":{"cpu":100,"memory_gb":0.5,"gpu":0.0,"gpu_memory_gb":0.0},"state":"FAILED","accepted_at_s":1795530720.0,"entry":"main.py","phase":"","started_at_s":1795530721.0,"ended_at_s":1795530722.0,"stop_reason":null,"exit_code":3,"problem":{"code":"exit_code","about":"3"},"usage":{"cpu_s":0.0,"wall_s":0.0,"peak_memory_bytes":0},"runtime":"wasm","where":"","delivery":"owed","delivered_at_s":null,"result_bytes":99,"trust_change":-2}');
INSERT INTO "tasks" VALUES('4ddb3e96801a1ee2b77dc5247c0db478','completed',0,1795530725.0,'{"task_id":"completed","key":"4ddb3e96801a1ee2b77dc5247c0db478","attempt":1,"body_sha256":"abababababababababababababababababababababababababababababababab","demand":{"cpu":100,"memory_gb":0.5,"gpu":0.0,"gpu_memory_gb":0.0},"state":"COMPLETED","accepted_at_s":1795530720.0,"entry":"main.py","phase":"","started_at_s":1795530721.0,"ended_at_s":1795530725.0,"stop_reason":null,"exit_code":0,"problem":null,"usage":{"cpu_s":1.5,"wall_s":4.0,"peak_memory_bytes":7340032},"runtime":"wasm","where":"4711:1795530721.00","delivery":"delivered","delivered_at_s":1795530726.0,"result_bytes":1234,"trust_change":2}');
INSERT INTO "tasks" VALUES('552b3e92fa034f4dad6d67146d37ca21','just accepted',1,NULL,'{"task_id":"just accepted","key":"552b3e92fa034f4dad6d67146d37ca21","attempt":1,"body_sha256":"abababababababababababababababababababababababababababababababab","demand":{"cpu":100,"memory_gb":0.5,"gpu":0.0,"gpu_memory_gb":0.0},"state":"ALLOCATED","accepted_at_s":1795530720.0,"entry":"main.py","phase":"unpacking","started_at_s":null,"ended_at_s":null,"stop_reason":null,"exit_code":null,"problem":null,"usage":{"cpu_s":0.0,"wall_s":0.0,"peak_memory_bytes":0},"runtime":"","where":"","delivery":"none","delivered_at_s":null,"result_bytes":null,"trust_change":0}');
INSERT INTO "tasks" VALUES('8322e87d24582952e5c996da182de0ec','stopped',1,1795530722.0,'{"task_id":"stopped","key":"8322e87d24582952e5c996da182de0ec","attempt":1,"body_sha256":"abababababababababababababababababababababababababababababababab","demand":{"cpu":100,"memory_gb":0.5,"gpu":0.0,"gpu_memory_gb":0.0},"state":"STOPPED","accepted_at_s":1795530720.0,"entry":"main.py","phase":"packing","started_at_s":null,"ended_at_s":1795530722.0,"stop_reason":"pool","exit_code":null,"problem":null,"usage":{"cpu_s":0.0,"wall_s":0.0,"peak_memory_bytes":0},"runtime":"","where":"","delivery":"none","delivered_at_s":null,"result_bytes":null,"trust_change":0}');
INSERT INTO "tasks" VALUES('88e081c53eb0f9878e9f862bc9b18574','refused by its pool',0,1795530722.0,'{"task_id":"refused by its pool","key":"88e081c53eb0f9878e9f862bc9b18574","attempt":1,"body_sha256":"abababababababababababababababababababababababababababababababab","demand":{"cpu":100,"memory_gb":0.5,"gpu":0.0,"gpu_memory_gb":0.0},"state":"COMPLETED","accepted_at_s":1795530720.0,"entry":"main.py","phase":"","started_at_s":1795530721.0,"ended_at_s":1795530722.0,"stop_reason":null,"exit_code":0,"problem":{"code":"pool_refused","about":"no such task"},"usage":{"cpu_s":0.0,"wall_s":0.0,"peak_memory_bytes":0},"runtime":"","where":"","delivery":"kept","delivered_at_s":null,"result_bytes":null,"trust_change":0}');
INSERT INTO "tasks" VALUES('c071cf5f5ed6f884cc70155b6f05f755','running',1,NULL,'{"task_id":"running","key":"c071cf5f5ed6f884cc70155b6f05f755","attempt":2,"body_sha256":"abababababababababababababababababababababababababababababababab","demand":{"cpu":100,"memory_gb":0.5,"gpu":0.0,"gpu_memory_gb":0.0},"state":"RUNNING","accepted_at_s":1795530720.0,"entry":"main.py","phase":"","started_at_s":1795530723.0,"ended_at_s":null,"stop_reason":null,"exit_code":null,"problem":null,"usage":{"cpu_s":0.0,"wall_s":0.0,"peak_memory_bytes":0},"runtime":"wasm","where":"4712:1795530723.00","delivery":"none","delivered_at_s":null,"result_bytes":null,"trust_change":0}');
CREATE INDEX open_tasks ON tasks (key) WHERE is_open;
CREATE INDEX ended_tasks ON tasks (ended_at_s) WHERE ended_at_s IS NOT NULL;
CREATE INDEX history_of_task ON history (key);
COMMIT;
