BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0011');
CREATE TABLE attack (
	id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	pixels INTEGER NOT NULL, 
	parameters TEXT NOT NULL, 
	parameters_hash TEXT NOT NULL, 
	CONSTRAINT pk_attack PRIMARY KEY (id), 
	CONSTRAINT uq_attack_name_version_pixels_parameters_hash UNIQUE (name, version, pixels, parameters_hash)
)
 STRICT

;
INSERT INTO "attack" VALUES(1,'differential-evolution',1,1,'{"goal": "non-targeted"}','attack parameters_hash 1');
INSERT INTO "attack" VALUES(2,'corner',2,2,'{"goal": "non-targeted", "queries": 9}','attack parameters_hash 2');
CREATE TABLE attempt (
	id INTEGER NOT NULL, 
	attempt_key TEXT NOT NULL, 
	attack_id INTEGER NOT NULL, 
	model_id INTEGER NOT NULL, 
	image_id INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	through_model_id INTEGER, 
	target INTEGER, 
	repeat INTEGER NOT NULL, 
	seed INTEGER NOT NULL, 
	success INTEGER NOT NULL, 
	predicted_before TEXT NOT NULL, 
	predicted_after TEXT NOT NULL, 
	confidence_before REAL NOT NULL, 
	confidence_after REAL NOT NULL, 
	true_confidence_after REAL NOT NULL, 
	queries INTEGER NOT NULL, 
	distinct_queries INTEGER, 
	generations INTEGER NOT NULL, 
	elapsed_ms REAL NOT NULL, 
	evaluator TEXT NOT NULL, 
	precision TEXT NOT NULL, 
	CONSTRAINT pk_attempt PRIMARY KEY (id), 
	CONSTRAINT ck_attempt_success CHECK (success IN (0, 1)), 
	CONSTRAINT uq_attempt_attempt_key UNIQUE (attempt_key), 
	CONSTRAINT fk_attempt_attack_id FOREIGN KEY(attack_id) REFERENCES attack (id) ON DELETE RESTRICT, 
	CONSTRAINT fk_attempt_model_id FOREIGN KEY(model_id) REFERENCES model (id) ON DELETE RESTRICT, 
	CONSTRAINT fk_attempt_image_id FOREIGN KEY(image_id) REFERENCES image (id) ON DELETE RESTRICT, 
	CONSTRAINT fk_attempt_run_id FOREIGN KEY(run_id) REFERENCES run (id) ON DELETE RESTRICT, 
	CONSTRAINT fk_attempt_through_model_id FOREIGN KEY(through_model_id) REFERENCES model (id) ON DELETE RESTRICT
)
 STRICT

;
INSERT INTO "attempt" VALUES(1,'attempt attempt_key 1',1,1,1,1,NULL,NULL,0,1,1,'0','1',1.0,1.0,1.0,1,1,1,1.0,'attempt evaluator 1','attempt precision 1');
INSERT INTO "attempt" VALUES(2,'attempt attempt_key 2',2,1,2,1,NULL,NULL,0,2,1,'1','0',2.0,2.0,2.0,2,2,2,2.0,'attempt evaluator 2','attempt precision 2');
CREATE TABLE certificate (
	id INTEGER NOT NULL, 
	model_id INTEGER NOT NULL, 
	image_id INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	method TEXT NOT NULL, 
	predicted TEXT NOT NULL, 
	votes TEXT NOT NULL, 
	radius INTEGER NOT NULL, 
	CONSTRAINT pk_certificate PRIMARY KEY (id), 
	CONSTRAINT uq_certificate_model_id_image_id_method UNIQUE (model_id, image_id, method), 
	CONSTRAINT ck_certificate_radius CHECK (radius >= 0), 
	CONSTRAINT fk_certificate_model_id FOREIGN KEY(model_id) REFERENCES model (id) ON DELETE RESTRICT, 
	CONSTRAINT fk_certificate_image_id FOREIGN KEY(image_id) REFERENCES image (id) ON DELETE RESTRICT, 
	CONSTRAINT fk_certificate_run_id FOREIGN KEY(run_id) REFERENCES run (id) ON DELETE RESTRICT
)
 STRICT

;
INSERT INTO "certificate" VALUES(1,1,1,1,'certificate method 1','0','[9, 0]',1);
INSERT INTO "certificate" VALUES(2,1,2,1,'certificate method 2','1','[4, 5]',2);
CREATE TABLE dataset (
	id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	source TEXT NOT NULL, 
	size INTEGER NOT NULL, 
	version TEXT NOT NULL, 
	split_scheme TEXT NOT NULL, 
	split_seed INTEGER NOT NULL, 
	manifest_sha256 TEXT NOT NULL, 
	task TEXT NOT NULL, 
	channels INTEGER NOT NULL, 
	licence TEXT NOT NULL, 
	citation TEXT NOT NULL, 
	location TEXT, 
	CONSTRAINT pk_dataset PRIMARY KEY (id), 
	CONSTRAINT uq_dataset_name_source_size_version_split_scheme_split_seed UNIQUE (name, source, size, version, split_scheme, split_seed), 
	CONSTRAINT ck_dataset_task CHECK (task IN ('multi-class', 'multi-label'))
)
 STRICT

;
INSERT INTO "dataset" VALUES(1,'dataset name 1','phantom',1,'dataset version 1','paper',1,'dataset manifest_sha256 1','multi-class',1,'dataset licence 1','dataset citation 1','dataset location 1');
INSERT INTO "dataset" VALUES(2,'dataset name 2','folder',2,'dataset version 2','official',2,'dataset manifest_sha256 2','multi-class',2,'dataset licence 2','dataset citation 2','dataset location 2');
CREATE TABLE dataset_class (
	id INTEGER NOT NULL, 
	dataset_id INTEGER NOT NULL, 
	ordinal INTEGER NOT NULL, 
	code TEXT NOT NULL, 
	name TEXT NOT NULL, 
	disease_type TEXT, 
	CONSTRAINT pk_dataset_class PRIMARY KEY (id), 
	CONSTRAINT uq_dataset_class_dataset_id_ordinal UNIQUE (dataset_id, ordinal), 
	CONSTRAINT uq_dataset_class_dataset_id_code UNIQUE (dataset_id, code), 
	CONSTRAINT fk_dataset_class_dataset_id FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE RESTRICT
)
 STRICT

;
INSERT INTO "dataset_class" VALUES(1,1,1,'0','dataset_class name 1','dataset_class disease_type 1');
INSERT INTO "dataset_class" VALUES(2,1,2,'1','dataset_class name 2','dataset_class disease_type 2');
CREATE TABLE dataset_content (
	id INTEGER NOT NULL, 
	dataset_id INTEGER NOT NULL, 
	modality TEXT, 
	least_height INTEGER NOT NULL, 
	greatest_height INTEGER NOT NULL, 
	least_width INTEGER NOT NULL, 
	greatest_width INTEGER NOT NULL, 
	CONSTRAINT pk_dataset_content PRIMARY KEY (id), 
	CONSTRAINT uq_dataset_content_dataset_id UNIQUE (dataset_id), 
	CONSTRAINT fk_dataset_content_dataset_id FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE RESTRICT
)
 STRICT

;
INSERT INTO "dataset_content" VALUES(1,1,'dataset_content modality 1',1,1,1,1);
INSERT INTO "dataset_content" VALUES(2,2,'dataset_content modality 2',2,2,2,2);
CREATE TABLE dataset_count (
	id INTEGER NOT NULL, 
	dataset_id INTEGER NOT NULL, 
	split TEXT NOT NULL, 
	label_set TEXT NOT NULL, 
	images INTEGER NOT NULL, 
	CONSTRAINT pk_dataset_count PRIMARY KEY (id), 
	CONSTRAINT uq_dataset_count_dataset_id_split_label_set UNIQUE (dataset_id, split, label_set), 
	CONSTRAINT ck_dataset_count_split CHECK (split IN ('train', 'val', 'test')), 
	CONSTRAINT fk_dataset_count_dataset_id FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE RESTRICT
)
 STRICT

;
INSERT INTO "dataset_count" VALUES(1,1,'test','0',1);
INSERT INTO "dataset_count" VALUES(2,1,'test','1',2);
CREATE TABLE denoising (
	id INTEGER NOT NULL, 
	denoising_key TEXT NOT NULL, 
	denoiser_id INTEGER NOT NULL, 
	image_id INTEGER NOT NULL, 
	noise TEXT NOT NULL, 
	level REAL NOT NULL, 
	seed INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	elapsed_ms REAL NOT NULL, 
	CONSTRAINT pk_denoising PRIMARY KEY (id), 
	CONSTRAINT uq_denoising_denoising_key UNIQUE (denoising_key), 
	CONSTRAINT fk_denoising_denoiser_id FOREIGN KEY(denoiser_id) REFERENCES model (id) ON DELETE RESTRICT, 
	CONSTRAINT fk_denoising_image_id FOREIGN KEY(image_id) REFERENCES image (id) ON DELETE RESTRICT, 
	CONSTRAINT fk_denoising_run_id FOREIGN KEY(run_id) REFERENCES run (id) ON DELETE RESTRICT
)
 STRICT

;
INSERT INTO "denoising" VALUES(1,'denoising denoising_key 1',1,1,'denoising noise 1',1.0,1,1,1.0);
INSERT INTO "denoising" VALUES(2,'denoising denoising_key 2',2,2,'denoising noise 2',2.0,2,1,2.0);
CREATE TABLE denoising_score (
	id INTEGER NOT NULL, 
	denoising_id INTEGER NOT NULL, 
	metric_id INTEGER NOT NULL, 
	value REAL, 
	value_kind TEXT NOT NULL, 
	CONSTRAINT pk_denoising_score PRIMARY KEY (id), 
	CONSTRAINT uq_denoising_score_denoising_id_metric_id UNIQUE (denoising_id, metric_id), 
	CONSTRAINT ck_denoising_score_value_kind CHECK (value_kind IN ('finite', 'inf', 'nan')), 
	CONSTRAINT ck_denoising_score_value CHECK ((value_kind = 'finite') = (value IS NOT NULL)), 
	CONSTRAINT fk_denoising_score_denoising_id FOREIGN KEY(denoising_id) REFERENCES denoising (id) ON DELETE RESTRICT, 
	CONSTRAINT fk_denoising_score_metric_id FOREIGN KEY(metric_id) REFERENCES metric (id) ON DELETE RESTRICT
)
 STRICT

;
INSERT INTO "denoising_score" VALUES(1,1,1,1.0,'finite');
INSERT INTO "denoising_score" VALUES(2,2,2,2.0,'finite');
CREATE TABLE detection (
	id INTEGER NOT NULL, 
	detection_key TEXT NOT NULL, 
	attempt_id INTEGER, 
	image_id INTEGER NOT NULL, 
	detector_id INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	score REAL NOT NULL, 
	flagged INTEGER NOT NULL, 
	elapsed_ms REAL NOT NULL, 
	CONSTRAINT pk_detection PRIMARY KEY (id), 
	CONSTRAINT ck_detection_flagged CHECK (flagged IN (0, 1)), 
	CONSTRAINT uq_detection_detection_key UNIQUE (detection_key), 
	CONSTRAINT fk_detection_attempt_id FOREIGN KEY(attempt_id) REFERENCES attempt (id) ON DELETE RESTRICT, 
	CONSTRAINT fk_detection_image_id FOREIGN KEY(image_id) REFERENCES image (id) ON DELETE RESTRICT, 
	CONSTRAINT fk_detection_detector_id FOREIGN KEY(detector_id) REFERENCES model (id) ON DELETE RESTRICT, 
	CONSTRAINT fk_detection_run_id FOREIGN KEY(run_id) REFERENCES run (id) ON DELETE RESTRICT
)
 STRICT

;
INSERT INTO "detection" VALUES(1,'detection detection_key 1',1,1,1,1,1.0,1,1.0);
INSERT INTO "detection" VALUES(2,'detection detection_key 2',2,2,2,1,2.0,1,2.0);
CREATE TABLE environment (
	id INTEGER NOT NULL, 
	fingerprint TEXT NOT NULL, 
	pixguard_version TEXT NOT NULL, 
	git_sha TEXT, 
	git_dirty INTEGER, 
	python_version TEXT NOT NULL, 
	torch_version TEXT NOT NULL, 
	cuda_version TEXT, 
	cpu TEXT NOT NULL, 
	cpu_threads INTEGER NOT NULL, 
	memory_mib INTEGER NOT NULL, 
	gpu TEXT, 
	driver TEXT, 
	packages TEXT NOT NULL, 
	CONSTRAINT pk_environment PRIMARY KEY (id), 
	CONSTRAINT uq_environment_fingerprint UNIQUE (fingerprint)
)
 STRICT

;
INSERT INTO "environment" VALUES(1,'environment fingerprint 1','environment pixguard_version 1','environment git_sha 1',1,'environment python_version 1','environment torch_version 1','environment cuda_version 1','environment cpu 1',1,1,'environment gpu 1','environment driver 1','environment packages 1');
INSERT INTO "environment" VALUES(2,'environment fingerprint 2','environment pixguard_version 2','environment git_sha 2',2,'environment python_version 2','environment torch_version 2','environment cuda_version 2','environment cpu 2',2,2,'environment gpu 2','environment driver 2','environment packages 2');
CREATE TABLE failure (
	id INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	attempt_key TEXT NOT NULL, 
	error_type TEXT NOT NULL, 
	message TEXT NOT NULL, 
	at_ms INTEGER NOT NULL, 
	CONSTRAINT pk_failure PRIMARY KEY (id), 
	CONSTRAINT fk_failure_run_id FOREIGN KEY(run_id) REFERENCES run (id) ON DELETE RESTRICT
)
 STRICT

;
INSERT INTO "failure" VALUES(1,1,'failure attempt_key 1','failure error_type 1','failure message 1',1);
INSERT INTO "failure" VALUES(2,1,'failure attempt_key 2','failure error_type 2','failure message 2',2);
CREATE TABLE image (
	id INTEGER NOT NULL, 
	dataset_id INTEGER NOT NULL, 
	split TEXT NOT NULL, 
	dataset_index INTEGER NOT NULL, 
	sha256 TEXT NOT NULL, 
	height INTEGER NOT NULL, 
	width INTEGER NOT NULL, 
	label_set TEXT NOT NULL, 
	CONSTRAINT pk_image PRIMARY KEY (id), 
	CONSTRAINT uq_image_dataset_id_split_dataset_index UNIQUE (dataset_id, split, dataset_index), 
	CONSTRAINT ck_image_split CHECK (split IN ('train', 'val', 'test')), 
	CONSTRAINT fk_image_dataset_id FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE RESTRICT
)
 STRICT

;
INSERT INTO "image" VALUES(1,1,'test',1,'image sha256 1',1,1,'0');
INSERT INTO "image" VALUES(2,1,'test',2,'image sha256 2',2,2,'1');
CREATE TABLE metric (
	id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	parameters TEXT NOT NULL, 
	CONSTRAINT pk_metric PRIMARY KEY (id), 
	CONSTRAINT uq_metric_name_version UNIQUE (name, version)
)
 STRICT

;
INSERT INTO "metric" VALUES(1,'psnr',1,'{"goal": "non-targeted"}');
INSERT INTO "metric" VALUES(2,'ssim',2,'{"goal": "non-targeted", "queries": 9}');
CREATE TABLE model (
	id INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	architecture TEXT NOT NULL, 
	dataset_id INTEGER NOT NULL, 
	weights_file TEXT NOT NULL, 
	weights_sha256 TEXT NOT NULL, 
	run_id INTEGER NOT NULL, 
	parameters TEXT NOT NULL, 
	hyperparameters TEXT NOT NULL, 
	trainable_parameters INTEGER NOT NULL, 
	frozen_parameters INTEGER NOT NULL, 
	training_seconds REAL NOT NULL, 
	epochs INTEGER NOT NULL, 
	train_accuracy REAL, 
	created_ms INTEGER NOT NULL, name TEXT, 
	CONSTRAINT pk_model PRIMARY KEY (id), 
	CONSTRAINT ck_model_kind CHECK (kind IN ('classifier', 'denoiser', 'detector')), 
	CONSTRAINT fk_model_dataset_id FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE RESTRICT, 
	CONSTRAINT uq_model_weights_sha256 UNIQUE (weights_sha256), 
	CONSTRAINT fk_model_run_id FOREIGN KEY(run_id) REFERENCES run (id) ON DELETE RESTRICT
)
 STRICT

;
INSERT INTO "model" VALUES(1,'classifier','small-cnn',1,'model weights_file 1','model weights_sha256 1',1,'{"goal": "non-targeted"}','{"normal": "a", "nu": 0.05}',1,1,1.0,1,1.0,1,'model name 1');
INSERT INTO "model" VALUES(2,'denoiser','dae',1,'model weights_file 2','model weights_sha256 2',1,'{"goal": "non-targeted", "queries": 9}','{}',2,2,2.0,2,2.0,2,'model name 2');
CREATE TABLE pixel (
	id INTEGER NOT NULL, 
	attempt_id INTEGER NOT NULL, 
	ordinal INTEGER NOT NULL, 
	"row" INTEGER NOT NULL, 
	col INTEGER NOT NULL, 
	"before" TEXT NOT NULL, 
	"after" TEXT NOT NULL, 
	CONSTRAINT pk_pixel PRIMARY KEY (id), 
	CONSTRAINT uq_pixel_attempt_id_ordinal UNIQUE (attempt_id, ordinal), 
	CONSTRAINT fk_pixel_attempt_id FOREIGN KEY(attempt_id) REFERENCES attempt (id) ON DELETE RESTRICT
)
 STRICT

;
INSERT INTO "pixel" VALUES(1,1,1,1,1,'[0]','[255]');
INSERT INTO "pixel" VALUES(2,2,2,2,2,'[7]','[9]');
CREATE TABLE "plan" (
	id INTEGER NOT NULL, 
	model_id INTEGER NOT NULL, 
	attack_id INTEGER NOT NULL, 
	dataset_id INTEGER NOT NULL, 
	through_model_id INTEGER, 
	run_id INTEGER NOT NULL, 
	seed INTEGER NOT NULL, 
	target TEXT, 
	planned INTEGER, 
	settings TEXT NOT NULL, 
	command TEXT NOT NULL, 
	remarks TEXT NOT NULL, 
	created_ms INTEGER NOT NULL, 
	finished_ms INTEGER, 
	CONSTRAINT pk_plan PRIMARY KEY (id), 
	CONSTRAINT fk_plan_model_id FOREIGN KEY(model_id) REFERENCES model (id) ON DELETE RESTRICT, 
	CONSTRAINT fk_plan_attack_id FOREIGN KEY(attack_id) REFERENCES attack (id) ON DELETE RESTRICT, 
	CONSTRAINT fk_plan_dataset_id FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE RESTRICT, 
	CONSTRAINT fk_plan_through_model_id FOREIGN KEY(through_model_id) REFERENCES model (id) ON DELETE RESTRICT, 
	CONSTRAINT fk_plan_run_id FOREIGN KEY(run_id) REFERENCES run (id) ON DELETE RESTRICT
)
 STRICT

;
INSERT INTO "plan" VALUES(1,1,1,1,NULL,1,1,NULL,1,'plan settings 1','plan command 1','[]',1,1);
INSERT INTO "plan" VALUES(2,1,2,1,NULL,1,2,NULL,2,'plan settings 2','plan command 2','["gradients of zero"]',2,2);
CREATE TABLE planned_attempt (
	id INTEGER NOT NULL, 
	plan_id INTEGER NOT NULL, 
	repeat INTEGER NOT NULL, 
	place INTEGER NOT NULL, 
	dataset_index INTEGER NOT NULL, 
	attempt_key TEXT NOT NULL, 
	CONSTRAINT pk_planned_attempt PRIMARY KEY (id), 
	CONSTRAINT uq_planned_attempt_plan_id_repeat_place UNIQUE (plan_id, repeat, place), 
	CONSTRAINT fk_planned_attempt_plan_id FOREIGN KEY(plan_id) REFERENCES "plan" (id) ON DELETE RESTRICT
)
 STRICT

;
INSERT INTO "planned_attempt" VALUES(1,1,0,1,1,'planned_attempt attempt_key 1');
INSERT INTO "planned_attempt" VALUES(2,2,0,2,2,'planned_attempt attempt_key 2');
CREATE TABLE prediction (
	id INTEGER NOT NULL, 
	model_id INTEGER NOT NULL, 
	image_id INTEGER NOT NULL, 
	predicted TEXT NOT NULL, 
	confidence REAL NOT NULL, 
	CONSTRAINT pk_prediction PRIMARY KEY (id), 
	CONSTRAINT uq_prediction_model_id_image_id UNIQUE (model_id, image_id), 
	CONSTRAINT fk_prediction_model_id FOREIGN KEY(model_id) REFERENCES model (id) ON DELETE RESTRICT, 
	CONSTRAINT fk_prediction_image_id FOREIGN KEY(image_id) REFERENCES image (id) ON DELETE RESTRICT
)
 STRICT

;
INSERT INTO "prediction" VALUES(1,1,1,'0',1.0);
INSERT INTO "prediction" VALUES(2,1,2,'1',2.0);
CREATE TABLE restoration (
	id INTEGER NOT NULL, 
	restoration_key TEXT NOT NULL, 
	attempt_id INTEGER, 
	image_id INTEGER NOT NULL, 
	classifier_id INTEGER NOT NULL, 
	denoiser_id INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	predicted TEXT NOT NULL, 
	confidence REAL NOT NULL, 
	recovered INTEGER NOT NULL, 
	elapsed_ms REAL NOT NULL, 
	CONSTRAINT pk_restoration PRIMARY KEY (id), 
	CONSTRAINT ck_restoration_recovered CHECK (recovered IN (0, 1)), 
	CONSTRAINT uq_restoration_restoration_key UNIQUE (restoration_key), 
	CONSTRAINT fk_restoration_attempt_id FOREIGN KEY(attempt_id) REFERENCES attempt (id) ON DELETE RESTRICT, 
	CONSTRAINT fk_restoration_image_id FOREIGN KEY(image_id) REFERENCES image (id) ON DELETE RESTRICT, 
	CONSTRAINT fk_restoration_classifier_id FOREIGN KEY(classifier_id) REFERENCES model (id) ON DELETE RESTRICT, 
	CONSTRAINT fk_restoration_denoiser_id FOREIGN KEY(denoiser_id) REFERENCES model (id) ON DELETE RESTRICT, 
	CONSTRAINT fk_restoration_run_id FOREIGN KEY(run_id) REFERENCES run (id) ON DELETE RESTRICT
)
 STRICT

;
INSERT INTO "restoration" VALUES(1,'restoration restoration_key 1',1,1,1,1,1,'0',1.0,1,1.0);
INSERT INTO "restoration" VALUES(2,'restoration restoration_key 2',2,2,1,2,1,'1',2.0,1,2.0);
CREATE TABLE run (
	id INTEGER NOT NULL, 
	uuid TEXT NOT NULL, 
	command TEXT NOT NULL, 
	config TEXT NOT NULL, 
	config_hash TEXT NOT NULL, 
	seed INTEGER NOT NULL, 
	environment_id INTEGER NOT NULL, 
	host TEXT NOT NULL, 
	pid INTEGER NOT NULL, 
	status TEXT NOT NULL, 
	started_ms INTEGER NOT NULL, 
	heartbeat_ms INTEGER NOT NULL, 
	finished_ms INTEGER, 
	error TEXT, 
	CONSTRAINT pk_run PRIMARY KEY (id), 
	CONSTRAINT uq_run_uuid UNIQUE (uuid), 
	CONSTRAINT fk_run_environment_id FOREIGN KEY(environment_id) REFERENCES environment (id) ON DELETE RESTRICT
)
 STRICT

;
INSERT INTO "run" VALUES(1,'run uuid 1','run command 1','run config 1','run config_hash 1',1,1,'run host 1',1,'run status 1',1,1,1,'run error 1');
INSERT INTO "run" VALUES(2,'run uuid 2','run command 2','run config 2','run config_hash 2',2,1,'run host 2',2,'run status 2',2,2,2,'run error 2');
CREATE TABLE score (
	id INTEGER NOT NULL, 
	restoration_id INTEGER NOT NULL, 
	metric_id INTEGER NOT NULL, 
	value REAL, 
	value_kind TEXT NOT NULL, 
	CONSTRAINT pk_score PRIMARY KEY (id), 
	CONSTRAINT uq_score_restoration_id_metric_id UNIQUE (restoration_id, metric_id), 
	CONSTRAINT ck_score_value_kind CHECK (value_kind IN ('finite', 'inf', 'nan')), 
	CONSTRAINT ck_score_value CHECK ((value_kind = 'finite') = (value IS NOT NULL)), 
	CONSTRAINT fk_score_restoration_id FOREIGN KEY(restoration_id) REFERENCES restoration (id) ON DELETE RESTRICT, 
	CONSTRAINT fk_score_metric_id FOREIGN KEY(metric_id) REFERENCES metric (id) ON DELETE RESTRICT
)
 STRICT

;
INSERT INTO "score" VALUES(1,1,1,1.0,'finite');
INSERT INTO "score" VALUES(2,2,2,2.0,'finite');
CREATE TABLE tag (
	id INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	word TEXT NOT NULL, 
	note TEXT NOT NULL, 
	at_ms INTEGER NOT NULL, 
	CONSTRAINT pk_tag PRIMARY KEY (id), 
	CONSTRAINT uq_tag_kind_key_word UNIQUE (kind, "key", word)
)
 STRICT

;
INSERT INTO "tag" VALUES(1,'classifier','tag key 1','tag word 1','tag note 1',1);
INSERT INTO "tag" VALUES(2,'denoiser','tag key 2','tag word 2','tag note 2',2);
CREATE TABLE training_epoch (
	id INTEGER NOT NULL, 
	model_id INTEGER NOT NULL, 
	epoch INTEGER NOT NULL, 
	train_loss REAL NOT NULL, 
	val_loss REAL, 
	train_accuracy REAL, 
	val_accuracy REAL, 
	seconds REAL NOT NULL, 
	CONSTRAINT pk_training_epoch PRIMARY KEY (id), 
	CONSTRAINT uq_training_epoch_model_id_epoch UNIQUE (model_id, epoch), 
	CONSTRAINT fk_training_epoch_model_id FOREIGN KEY(model_id) REFERENCES model (id) ON DELETE RESTRICT
)
 STRICT

;
INSERT INTO "training_epoch" VALUES(1,1,1,1.0,1.0,1.0,1.0,1.0);
INSERT INTO "training_epoch" VALUES(2,1,2,2.0,2.0,2.0,2.0,2.0);
CREATE TABLE whole_image (
	id INTEGER NOT NULL, 
	attempt_id INTEGER NOT NULL, 
	sha256 TEXT NOT NULL, 
	png BLOB NOT NULL, 
	linf INTEGER NOT NULL, 
	l2 REAL NOT NULL, 
	CONSTRAINT pk_whole_image PRIMARY KEY (id), 
	CONSTRAINT uq_whole_image_attempt_id UNIQUE (attempt_id), 
	CONSTRAINT fk_whole_image_attempt_id FOREIGN KEY(attempt_id) REFERENCES attempt (id) ON DELETE RESTRICT
)
 STRICT

;
INSERT INTO "whole_image" VALUES(1,1,'whole_image sha256 1',X'00',1,1.0);
INSERT INTO "whole_image" VALUES(2,2,'whole_image sha256 2',X'0000',2,2.0);
CREATE INDEX ix_run_environment_id ON run (environment_id);
CREATE INDEX ix_failure_run_id ON failure (run_id);
CREATE INDEX ix_failure_attempt_key ON failure (attempt_key);
CREATE INDEX ix_model_dataset_id ON model (dataset_id);
CREATE INDEX ix_model_run_id ON model (run_id);
CREATE INDEX ix_prediction_image_id ON prediction (image_id);
CREATE INDEX ix_attempt_attack_id ON attempt (attack_id);
CREATE INDEX ix_attempt_model_id ON attempt (model_id);
CREATE INDEX ix_attempt_image_id ON attempt (image_id);
CREATE INDEX ix_attempt_run_id ON attempt (run_id);
CREATE INDEX ix_attempt_through_model_id ON attempt (through_model_id);
CREATE INDEX ix_restoration_attempt_id ON restoration (attempt_id);
CREATE INDEX ix_restoration_image_id ON restoration (image_id);
CREATE INDEX ix_restoration_classifier_id ON restoration (classifier_id);
CREATE INDEX ix_restoration_denoiser_id ON restoration (denoiser_id);
CREATE INDEX ix_restoration_run_id ON restoration (run_id);
CREATE INDEX ix_score_metric_id ON score (metric_id);
CREATE INDEX ix_denoising_denoiser_id ON denoising (denoiser_id);
CREATE INDEX ix_denoising_image_id ON denoising (image_id);
CREATE INDEX ix_denoising_run_id ON denoising (run_id);
CREATE INDEX ix_denoising_score_metric_id ON denoising_score (metric_id);
CREATE INDEX ix_attempt_plan ON attempt (model_id, attack_id, seed, target, through_model_id, repeat, success, image_id);
CREATE INDEX ix_detection_attempt_id ON detection (attempt_id);
CREATE INDEX ix_detection_image_id ON detection (image_id);
CREATE INDEX ix_detection_detector_id ON detection (detector_id);
CREATE INDEX ix_detection_run_id ON detection (run_id);
CREATE INDEX ix_certificate_image_id ON certificate (image_id);
CREATE INDEX ix_certificate_run_id ON certificate (run_id);
CREATE VIEW newest_metric AS
SELECT k.id, k.name, k.version
FROM metric k
WHERE k.version = (SELECT MAX(n.version) FROM metric n WHERE n.name = k.name);
CREATE VIEW restoration_scores AS
SELECT
    r.id AS restoration_id,
    r.attempt_id,
    r.image_id,
    r.classifier_id,
    r.denoiser_id,
    r.recovered,
    MAX(CASE WHEN k.name = 'psnr' THEN s.value END) AS psnr,
    MAX(CASE WHEN k.name = 'ssim' THEN s.value END) AS ssim,
    MAX(CASE WHEN k.name = 'mse' THEN s.value END) AS mse,
    MAX(CASE WHEN k.name = 'gmsd' THEN s.value END) AS gmsd,
    MAX(CASE WHEN k.name = 'fsim' THEN s.value END) AS fsim,
    MAX(CASE WHEN k.name = 'psnr' AND s.value_kind = 'inf' THEN 1 ELSE 0 END) AS is_identical
FROM restoration r
JOIN score s ON s.restoration_id = r.id
JOIN newest_metric k ON k.id = s.metric_id
GROUP BY r.id, r.attempt_id, r.image_id, r.classifier_id, r.denoiser_id, r.recovered;
CREATE VIEW clean_restorations AS
SELECT
    r.id,
    i.dataset_id,
    r.image_id,
    r.classifier_id,
    r.denoiser_id,
    r.predicted,
    r.confidence,
    r.recovered,
    r.elapsed_ms
FROM restoration r
JOIN image i ON i.id = r.image_id
JOIN prediction p ON p.model_id = r.classifier_id AND p.image_id = r.image_id
WHERE r.attempt_id IS NULL AND i.split = 'test' AND p.predicted = i.label_set;
CREATE INDEX ix_plan_attack_id ON "plan" (attack_id);
CREATE INDEX ix_plan_dataset_id ON "plan" (dataset_id);
CREATE INDEX ix_plan_through_model_id ON "plan" (through_model_id);
CREATE INDEX ix_plan_run_id ON "plan" (run_id);
CREATE INDEX ix_plan_group ON "plan" (model_id, attack_id, seed);
CREATE VIEW plan_gaps AS
SELECT p.plan_id, p.repeat, MIN(p.place) AS place
FROM plan l
JOIN planned_attempt p ON p.plan_id = l.id
WHERE l.finished_ms IS NULL
  AND NOT EXISTS (SELECT 1 FROM attempt t WHERE t.attempt_key = p.attempt_key)
  AND NOT EXISTS (SELECT 1 FROM failure f WHERE f.attempt_key = p.attempt_key)
GROUP BY p.plan_id, p.repeat;
CREATE VIEW attempts_out_of_order AS
SELECT t.id AS attempt_id
FROM plan_gaps g
JOIN planned_attempt p ON p.plan_id = g.plan_id AND p.repeat = g.repeat AND p.place > g.place
JOIN attempt t ON t.attempt_key = p.attempt_key
UNION ALL
SELECT t.id AS attempt_id
FROM plan l
JOIN attempt t ON t.model_id = l.model_id AND t.attack_id = l.attack_id AND t.seed = l.seed
WHERE l.planned IS NULL
  AND COALESCE(t.through_model_id, 0) = COALESCE(l.through_model_id, 0)
  AND (t.target IS NULL) = (l.target IS NULL);
CREATE VIEW sampled_attempts AS
SELECT t.*
FROM attempt t
WHERE t.id NOT IN (SELECT o.attempt_id FROM attempts_out_of_order o);
CREATE VIEW attempts_that_count AS
SELECT
    t.id,
    t.attempt_key,
    t.attack_id,
    t.model_id,
    t.image_id,
    t.run_id,
    t.seed,
    t.success,
    t.predicted_before,
    t.predicted_after,
    t.confidence_before,
    t.confidence_after,
    t.true_confidence_after,
    t.queries,
    t.distinct_queries,
    t.generations,
    t.elapsed_ms,
    t.evaluator,
    t.precision
FROM sampled_attempts t
WHERE t.target IS NULL AND t.through_model_id IS NULL AND t.repeat = 0;
CREATE VIEW attempt_details AS
SELECT
    t.id AS attempt_id,
    t.attempt_key,
    d.id AS dataset_id,
    d.name AS dataset,
    d.source,
    d.size,
    i.split,
    i.dataset_index,
    i.label_set,
    m.id AS classifier_id,
    m.architecture AS classifier,
    a.name AS attack,
    a.version AS attack_version,
    a.pixels,
    a.parameters,
    t.seed,
    t.repeat,
    t.target,
    CASE WHEN h.kind = 'detector' THEN 'detector ' ELSE '' END || h.architecture AS through,
    t.success,
    t.predicted_before,
    t.predicted_after,
    t.confidence_before,
    t.confidence_after,
    t.queries,
    t.elapsed_ms
FROM attempt t
JOIN image i ON i.id = t.image_id
JOIN dataset d ON d.id = i.dataset_id
JOIN model m ON m.id = t.model_id
JOIN attack a ON a.id = t.attack_id
LEFT JOIN model h ON h.id = t.through_model_id;
COMMIT;
