import { a } from "@devpocket/kernel"; import { t } from "@testing/kernel"; import { Module } from "@nestjs/common"; console.log(a, t, typeof Module);
