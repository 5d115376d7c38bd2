BEGIN TRANSACTION;
CREATE TABLE entries (
	run TEXT NOT NULL, 
	line INTEGER NOT NULL, 
	year TEXT NOT NULL, 
	zone_level TEXT NOT NULL, 
	zone TEXT NOT NULL, 
	zone_name TEXT NOT NULL, 
	ecosystem TEXT NOT NULL, 
	service TEXT NOT NULL, 
	item TEXT NOT NULL, 
	class TEXT NOT NULL, 
	status TEXT NOT NULL, 
	method TEXT NOT NULL, 
	quantity TEXT, 
	quantity_unit TEXT NOT NULL, 
	price TEXT, 
	price_unit TEXT NOT NULL, 
	price_year TEXT NOT NULL, 
	price_inputs TEXT NOT NULL, 
	value_fen BIGINT, 
	low_fen BIGINT, 
	high_fen BIGINT, 
	valid_area_km2 TEXT NOT NULL, 
	missing_area_km2 TEXT NOT NULL, 
	allocated INTEGER NOT NULL, 
	verified TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	method_hash TEXT NOT NULL, 
	hash TEXT NOT NULL, 
	PRIMARY KEY (run, line), 
	CONSTRAINT entries_leaf UNIQUE (run, year, zone_level, zone, ecosystem, service, item), 
	FOREIGN KEY(run) REFERENCES runs (id)
)
 WITHOUT ROWID

;
INSERT INTO "entries" VALUES('1802d160b1b1455d508dadcc7ea3094684af429accda602d9921b469aa81c5c4',1,'2022','county','511129','沐川县','forest','water_conservation','water_conservation','regulating','counted','water_balance','1','m³','6.11','CNY/m³','2020','{}',611,611,611,'1401.25','0.5',0,'quoted','','ab12','1545e39e06c6b4a390dc3897cd8ab64268e550aa20eadfcd69cbaa137f086823');
INSERT INTO "entries" VALUES('1802d160b1b1455d508dadcc7ea3094684af429accda602d9921b469aa81c5c4',2,'2022','county','outside','沐川县','forest','water_conservation','water_conservation','regulating','counted','water_balance','2.5','m³','6.11','CNY/m³','2020','{}',1528,1528,1528,'1401.25','0.5',0,'quoted','','ab12','3eae29451bba71f1f6c764b7f9f8b3c55a5dfed6235981168b19f15246eed3ab');
INSERT INTO "entries" VALUES('70ea91077bccd0742d3f0ccbd549e120283980cb329446f8b9eb66707249e92d',1,'2022','county','511129','沐川县','forest','water_conservation','water_conservation','regulating','counted','water_balance','1234.5','m³','6.11','CNY/m³','2020','{}',754280,754280,754280,'1401.25','0.5',0,'quoted','','ab12','0b09ce73a4fe174b5f2faf3702250f09aa9704c8800de9853f176e13463da379');
INSERT INTO "entries" VALUES('70ea91077bccd0742d3f0ccbd549e120283980cb329446f8b9eb66707249e92d',2,'2022','county','511132','峨边彝族自治县','forest','water_conservation','water_conservation','regulating','counted','water_balance','-20.5','m³','6.11','CNY/m³','2020','{}',-12526,-12526,-12526,'1401.25','0.5',0,'quoted','','ab12','cdba863fa3cc71be31d79ffed714071f6a7bef9e5fc42c0271610bbc237eec39');
INSERT INTO "entries" VALUES('70ea91077bccd0742d3f0ccbd549e120283980cb329446f8b9eb66707249e92d',3,'2022','county','511132','峨边彝族自治县','garden.tea','water_conservation','water_conservation','regulating','counted','water_balance','1234.5','m³',NULL,'CNY/m³','2020','{}',NULL,NULL,NULL,'1401.25','0.5',0,'quoted','','ab12','9cb4f2c50d86868bb6446b15e56230f9183f0d47f6067379249de46b2d9493b1');
INSERT INTO "entries" VALUES('70ea91077bccd0742d3f0ccbd549e120283980cb329446f8b9eb66707249e92d',4,'2022','county','511129','沐川县','forest','biodiversity','biodiversity_value','regulating','satellite','water_balance','7','m³','6.11','CNY/m³','2020','{}',4277,4277,4277,'1401.25','0.5',0,'quoted','','ab12','c5743f8cb56d583fe43ba380d2ff826f3b0e3b25e29e317363ef3978592ba8cd');
INSERT INTO "entries" VALUES('70ea91077bccd0742d3f0ccbd549e120283980cb329446f8b9eb66707249e92d',5,'2022','county','511129','沐川县','forest','snow','','cultural','not_applicable','water_balance',NULL,'m³',NULL,'CNY/m³','2020','{}',NULL,NULL,NULL,'1401.25','0.5',0,'quoted','无雪','ab12','bc00f851a32ee5b09e7e8d486079a33eaec0b827420c527b2316fc658541177e');
CREATE TABLE gep_schema (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
)
 WITHOUT ROWID

;
INSERT INTO "gep_schema" VALUES(1);
CREATE TABLE reviews (
	run TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	status TEXT NOT NULL, 
	who TEXT NOT NULL, 
	at TEXT NOT NULL, 
	file_hash TEXT NOT NULL, 
	hash TEXT NOT NULL, 
	PRIMARY KEY (run, number), 
	FOREIGN KEY(run) REFERENCES runs (id)
)
 WITHOUT ROWID

;
INSERT INTO "reviews" VALUES('1802d160b1b1455d508dadcc7ea3094684af429accda602d9921b469aa81c5c4',1,'computed','张三','2024-03-01T08:00:00+08:00','','2fa97a1503347e27a5acfa5c072d56e3ace7e63464f8717a1e09112884b7464d');
INSERT INTO "reviews" VALUES('70ea91077bccd0742d3f0ccbd549e120283980cb329446f8b9eb66707249e92d',1,'computed','张三','2024-03-01T08:00:00+08:00','','0bfd118c50407fcfb7f064325d9955dd4f166db1c10910864074ce3e2645919b');
INSERT INTO "reviews" VALUES('9e2dfe87bd90d5017f864ba37392a074686e2a99b7c70f9e8117538dad72757f',1,'computed','张三','2024-03-01T08:00:00+08:00','','d8be34bf32ddafbf2cf7e605d9fab1a94e51cf42c22453c2c5ecfcd26b236744');
CREATE TABLE runs (
	seq INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	profile TEXT NOT NULL, 
	title TEXT NOT NULL, 
	years TEXT NOT NULL, 
	determined TEXT NOT NULL, 
	recorded TEXT NOT NULL, 
	supersedes TEXT, 
	lines INTEGER NOT NULL, 
	entries_hash TEXT NOT NULL, 
	record_hash TEXT NOT NULL, 
	chain TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	UNIQUE (id), 
	UNIQUE (supersedes), 
	FOREIGN KEY(supersedes) REFERENCES runs (id)
)
 WITHOUT ROWID

;
INSERT INTO "runs" VALUES(1,'70ea91077bccd0742d3f0ccbd549e120283980cb329446f8b9eb66707249e92d','leshan','四县','["2022"]','{"stack":"a"}','{"paths":["乐山/stack.toml"],"when":"2024-03-01T08:00:00+08:00","who":"张三"}',NULL,5,'ee1d7cf3fd6014b7c056c61c1eae642d5b893fa4b37d3cc969c9c329f2a3a326','ee1e515d12bd0879e4740e0e881ed12937b5b566ffbadac409208454cd27bccc','e74647a6f61a5f13f44af075c960c87d3475334d5e0e2751e2d948735c4b8a0b');
INSERT INTO "runs" VALUES(2,'1802d160b1b1455d508dadcc7ea3094684af429accda602d9921b469aa81c5c4','leshan','四县','["2022"]','{"stack":"b"}','{"paths":["乐山/stack.toml"],"when":"2024-03-01T08:00:00+08:00","who":"张三"}','70ea91077bccd0742d3f0ccbd549e120283980cb329446f8b9eb66707249e92d',2,'038b03c2f8975981c81c12999af85715bc6595f723b4228b011e351b16ef9316','55e795027aca7f812bf870856dc75093c77f5a46a1b8aa2b710f437f1cad24cd','66558ebcf008d5ec95f7695e1560c9d84f8a5bb300f0cbb5a5211f18515aebff');
INSERT INTO "runs" VALUES(3,'9e2dfe87bd90d5017f864ba37392a074686e2a99b7c70f9e8117538dad72757f','leshan','四县','["2022"]','{"stack":"c"}','{"paths":["乐山/stack.toml"],"when":"2024-03-01T08:00:00+08:00","who":"张三"}',NULL,0,'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855','6c8672c70e0f7856f549e94fe652674a7bd3cf4b603ce6dc024c4eb54f723428','3b8c6ecec96cb8870df8d8f24fad22e2bf5b9eefda6d1d2643b2d441cd1d4725');
CREATE TRIGGER gep_schema_no_update BEFORE UPDATE ON gep_schema BEGIN SELECT RAISE(ABORT, 'gep_schema is append-only'); END;
CREATE TRIGGER gep_schema_no_delete BEFORE DELETE ON gep_schema BEGIN SELECT RAISE(ABORT, 'gep_schema is append-only'); END;
CREATE TRIGGER gep_schema_no_insert_over BEFORE INSERT ON gep_schema WHEN EXISTS (SELECT 1 FROM gep_schema WHERE version >= NEW.version) BEGIN SELECT RAISE(ABORT, 'gep_schema is append-only'); END;
CREATE TRIGGER runs_no_update BEFORE UPDATE ON runs BEGIN SELECT RAISE(ABORT, 'runs is append-only'); END;
CREATE TRIGGER runs_no_delete BEFORE DELETE ON runs BEGIN SELECT RAISE(ABORT, 'runs is append-only'); END;
CREATE TRIGGER runs_no_insert_over BEFORE INSERT ON runs WHEN EXISTS (SELECT 1 FROM runs WHERE id = NEW.id) OR EXISTS (SELECT 1 FROM runs WHERE supersedes = NEW.supersedes) OR NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM runs) BEGIN SELECT RAISE(ABORT, 'runs is append-only'); END;
CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'entries is append-only'); END;
CREATE TRIGGER entries_no_delete BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'entries is append-only'); END;
CREATE TRIGGER entries_no_insert_over BEFORE INSERT ON entries WHEN EXISTS (SELECT 1 FROM entries WHERE run = NEW.run AND line = NEW.line) OR EXISTS (SELECT 1 FROM entries WHERE run = NEW.run AND year = NEW.year AND zone_level = NEW.zone_level AND zone = NEW.zone AND ecosystem = NEW.ecosystem AND service = NEW.service AND item = NEW.item) OR NEW.line NOT BETWEEN 1 AND COALESCE((SELECT lines FROM runs WHERE id = NEW.run), 0) BEGIN SELECT RAISE(ABORT, 'entries is append-only'); END;
CREATE TRIGGER reviews_no_update BEFORE UPDATE ON reviews BEGIN SELECT RAISE(ABORT, 'reviews is append-only'); END;
CREATE TRIGGER reviews_no_delete BEFORE DELETE ON reviews BEGIN SELECT RAISE(ABORT, 'reviews is append-only'); END;
CREATE TRIGGER reviews_no_insert_over BEFORE INSERT ON reviews WHEN NEW.number <> (SELECT COUNT(*) + 1 FROM reviews WHERE run = NEW.run) OR NOT EXISTS (SELECT 1 FROM runs WHERE id = NEW.run) BEGIN SELECT RAISE(ABORT, 'reviews is append-only'); END;
COMMIT;
